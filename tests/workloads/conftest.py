"""The models of `tests/models`, a tiny training set, the nano log, and stores that die while a step uses them."""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events import dataset
from events.importers.synthetic import generate, sized
from events.ingest import ingest
from events.splits import Split
from feature_repo.build import build
from segue.errors import EXIT_RETRY, UnavailableError
from segue.files import read_json, write_json
from segue.settings import Home
from stores import online_store
from stores.settings import settings
from tests.models.conftest import (
    make_catalogue,
    make_table,
    saved_ranking,
    saved_retrieval,
    saved_sequence,
    trained_ranking,
    trained_retrieval,
    trained_sequence,
    world,
)
from tests.support.soon import soon
from workloads.run import Run
from workloads.training_set import write_vocabularies

__all__ = [
    "make_catalogue",
    "make_table",
    "saved_ranking",
    "saved_retrieval",
    "saved_sequence",
    "trained_ranking",
    "trained_retrieval",
    "trained_sequence",
    "world",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--sigkill`, which is known where pytest is started with a file of this folder."""
    parser.addoption("--sigkill", action="store_true", help="kill the object store instead of cutting it off (slow)")


@pytest.fixture
def training_set(tmp_path, make_table, make_catalogue):
    """A training set with two rows in each part: `a` and `b` were played, `c` was not."""
    parts = make_table({"item_id": "a", "positive": True}, {"item_id": "a", "history_items": ["b"]})
    items = make_catalogue(*({"item_id": item} for item in "abc"))
    tables = dict.fromkeys(("train", "validation", "test"), parts) | dict.fromkeys(
        ("items_at_validation", "items_at_test", "items_now"), items
    )
    content = ["creator_id", "content_type", "language", "duration_s", "genre_weights", "text", "markets"]
    tables["negatives"] = pa.concat_tables([items, items]).drop_columns(content)
    for name, table in tables.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
    split = Split(*(datetime(2026, 1, number, tzinfo=UTC) for number in (1, 8, 9, 10))).to_dict()
    write_json(
        tmp_path / "manifest.json",
        {"dataset": "d", "sha256": "abc", "genres": ["pop"], "content_types": ["music"], "split": split},
    )
    write_vocabularies(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def log(tmp_path_factory) -> Home:
    """A home with the nano world's data, its copy for a run in `ingested`, and its feature tables in `tables`."""
    home = Home(tmp_path_factory.mktemp("log"))
    dataset.write(home.data, generate(sized("nano", None, None), 0))
    ingest(home.data, home.root / "ingested", (0.7, 0.15, 0.15))
    build(home.root / "ingested", home.root / "tables")
    return home


@pytest.fixture
def run(cluster, tmp_path) -> Run:
    """A run whose step starts with an empty home."""
    online_store.connect(settings()).save()  # a server that was killed starts from what it saved last
    return Run(Home(tmp_path / "step"), "r1", {})


@pytest.fixture
def dies(monkeypatch) -> Iterator:
    """`dies(server, owner, name)`: the server is killed when a function is called for the first time.

    It lives again at the end of the test, or when the returned function is called.
    """
    dead = []

    def kill_at(server, owner, name: str, call: int = 1):
        function, calls = getattr(owner, name), []

        def killing(*arguments, **options):
            calls.append(name)
            if len(calls) == call:
                os.kill(server.pid, signal.SIGKILL)
                dead.append(server)
            return function(*arguments, **options)

        monkeypatch.setattr(owner, name, killing)
        return revive

    def revive() -> None:
        while dead:
            dead.pop().start()

    yield kill_at
    revive()


def fails_at_once(step, part: str, run: Run) -> None:
    """Check that a step ends soon with an error that names the part, and that its record says so."""
    with soon(), pytest.raises(UnavailableError, match=part) as raised:
        step()
    assert raised.value.fix
    (record,) = (read_json(path) for path in run.folder.steps.iterdir())
    assert (record["status"], record["exit_code"]) == ("failed", EXIT_RETRY)

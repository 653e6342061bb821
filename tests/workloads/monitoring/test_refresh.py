"""The statistics of the day before come online once a day, with the vocabularies that the served models know."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from events import dataset
from events.dataset import MANIFEST, identity
from events.importers.synthetic import generate, sized
from events.ingest import ingest
from events.journal.journal import open_journal
from feature_repo.build import vocabularies
from feature_repo.feast_store import publish, published_axes, published_tables
from feature_repo.forget import forget
from feature_repo.online import state
from models.training_config import TrainingConfig
from segue.files import read_json, write_json
from stores.settings import settings
from workloads import build_features
from workloads.monitoring.refresh import due, refresh_features, step
from workloads.run import Run

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("filled", "expected"),
    [("2026-02-28T23:59:59+00:00", True), ("2026-03-01T00:00:00+00:00", False), ("2026-03-01T00:30:00+01:00", True)],
)
def test_a_refresh_is_due_after_midnight_where_a_gateway_has_served(home, filled, expected):
    assert not due(home, NOON)
    open_journal(home, settings()).close()
    assert not due(home, NOON)  # nothing was trained
    write_json(home.online_state, {"last_event": filled})
    assert due(home, NOON) == expected


@pytest.mark.slow  # the import of Feast takes seconds
def test_a_refresh_keeps_the_vocabularies_until_the_next_training(home, tmp_path):
    world = generate(sized("nano"), 0)
    dataset.write(home.data, world)
    ingest(home.data, tmp_path / "log", TrainingConfig().split)
    build_features.step(Run(home, "first", {}), tmp_path / "log", published_tables(home))
    before = published_axes(home)
    assert before == vocabularies(world.items, before.log)  # those of the items alone
    genres = [["a new genre", *row] for row in world.items["genres"].to_pylist()]
    place = world.items.column_names.index("genres")
    renamed = world.items.set_column(place, "genres", pa.array(genres, world.items["genres"].type))
    dataset.write(home.data, replace(world, items=renamed))
    open_journal(home, settings()).close()
    write_json(home.online_state, {"last_event": "2026-02-01T00:00:00+00:00"})
    assert step(home, NOON)
    assert published_axes(home) == before
    assert "a new genre" not in before.genres
    assert state(home)["last_event"] == NOON.isoformat()
    assert not step(home, NOON)

    ingest(home.data, tmp_path / "grown", TrainingConfig().split)
    build_features.step(Run(home, "second", {}), tmp_path / "grown", tmp_path / "tables")
    publish(home, tmp_path / "tables")
    after = published_axes(home)
    assert after.genres == [*before.genres, "a new genre"]  # "a new genre" would be the first by name
    forget(home, world.users["user_id"][0].as_py(), NOON)
    log = identity(read_json(home.data / MANIFEST))
    assert log != after.log
    assert published_axes(home) == replace(after, log=log)  # the next training extends the same vocabularies


@pytest.mark.slow
def test_on_a_cluster_it_is_the_shared_store_that_is_refreshed(cluster, home):
    dataset.write(home.data, generate(sized("nano"), 0))
    assert published_axes(home) is None
    assert not due(home, NOON)  # nothing was trained
    refresh_features(home, NOON)
    axes = published_axes(home)
    assert axes is not None
    assert axes.genres
    assert not step(home, NOON)
    assert step(home, NOON + timedelta(days=1))
    assert published_axes(home) == axes
    assert state(home)["last_event"] == (NOON + timedelta(days=1)).isoformat()

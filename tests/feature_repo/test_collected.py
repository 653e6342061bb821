"""A log that was collected from the journal trains as the same log that was imported."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from events import dataset, schema
from events.imported import Imported
from events.ingest import ingest
from events.journal.collect import collect
from events.journal.journal import open_journal
from events.journal.records import Exposure, Feedback
from feature_repo.build import build
from feature_repo.feast_store import apply
from feature_repo.training import make_training_set
from segue.settings import Home
from stores.settings import Settings

BORDER = datetime(2026, 1, 26, tzinfo=UTC)  # the last week of the nano world is served and collected


def pages_of(rows: list[dict]) -> list[list[Exposure]]:
    """Return the pages of a log: the impressions of each request, as one list."""
    pages: dict[str, list[Exposure]] = {}
    for row in rows:
        if row["action"] == schema.IMPRESSION:
            pages.setdefault(row["request_id"], []).append(
                Exposure(
                    row["request_id"], row["user_id"], row["session_id"], row["ts"], row["surface"], "",
                    row["position"], 1, row["position"], row["item_id"], row["policy"], "1",
                    propensity=row["propensity"], query=row["query"],
                )
            )  # fmt: skip
    return list(pages.values())


def feedback_of(rows: list[dict]) -> list[Feedback]:
    """Return a log as feedback: all of its impressions are confirmed."""
    names = ("event_id", "request_id", "user_id", "session_id", "item_id", "action", "ms_played", "ts")
    return [Feedback(*(row[name] for name in names)) for row in rows]


@pytest.fixture(scope="module")
def served(world) -> Imported:
    """The nano world, with one time for all impressions of a page: that of the decision."""
    events = world.events
    shown = events.filter(pc.equal(events["action"], schema.IMPRESSION))
    decided = dict(zip(*shown.group_by("request_id").aggregate([("ts", "min")]).to_pydict().values(), strict=True))
    times = [
        decided[row["request_id"]] if row["action"] == schema.IMPRESSION else row["ts"]
        for row in events.select(["request_id", "action", "ts"]).to_pylist()
    ]
    at = events.schema.get_field_index("ts")
    events = events.set_column(at, events.schema.field(at), pa.array(times, schema.TIMESTAMP))
    return Imported("nano", world.items, world.users, events)


@pytest.fixture(scope="module")
def collected(served, tmp_path_factory) -> Home:
    """The home of the nano world whose last week was not imported but collected, in two goes and out of order."""
    home = Home(tmp_path_factory.mktemp("collected") / "home")
    early = pc.less(served.events["ts"], pa.scalar(BORDER, schema.TIMESTAMP))
    dataset.write(home.data, Imported("nano", served.items, served.users, served.events.filter(early)))
    rows = served.events.filter(pc.invert(early)).to_pylist()
    pages, feedback = pages_of(rows), feedback_of(rows)[::-1]
    journal = open_journal(home, Settings())
    for half in (0, 1):
        journal.record(feedback[half::2])
        journal.append([exposure for page in pages[half::2] for exposure in page]).result()
        collect(journal, home.data)
    journal.close()
    return home


@pytest.mark.slow
def test_collected_events_are_those_that_were_served(served, collected):
    events = dataset.load(collected.data).events()
    names = ["ts", "user_id", "item_id", "session_id", "request_id", "surface", "action", "ms_played", "query"]
    keys = [(name, "ascending") for name in ("ts", "user_id", "item_id", "action")]
    assert events.select(names).sort_by(keys).equals(served.events.select(names).sort_by(keys))
    late = events.filter(pc.is_valid(events["exposure"]))
    assert late.num_rows > 1000
    assert set(late["policy"].to_pylist()) == {f"{served.events['policy'].drop_null()[0]}@1"}
    key = ["request_id", "item_id"]
    shown = [
        t.filter(pc.equal(t["action"], schema.IMPRESSION)).select([*key, "propensity"]) for t in (events, served.events)
    ]
    assert (
        shown[0]
        .sort_by([(name, "ascending") for name in key])
        .equals(shown[1].sort_by([(name, "ascending") for name in key]))
    )


def training_set_of(home: Home, folder: Path) -> dict[str, pa.Table]:
    """The training set of a home's log, by part."""
    ingest(home.data, folder / "ingested", (0.8, 0.1, 0.1))
    build(folder / "ingested", home.features / "tables")
    store = apply(home, home.features / "tables")
    make_training_set(store, folder / "ingested", home.features / "tables", folder / "set")
    return {part: pq.read_table(folder / "set" / f"{part}.parquet") for part in ("train", "validation", "test")}


@pytest.mark.slow
def test_the_training_set_of_collected_events_is_that_of_imported_ones(served, collected, tmp_path):
    imported = Home(tmp_path / "imported")
    dataset.write(imported.data, served)
    names = ["ts", "user_id", "item_id", "request_id", *schema.LABEL_COLUMNS, "positive", "propensity", "history_items"]
    keys = [(name, "ascending") for name in ("ts", "user_id", "item_id")]
    expected = training_set_of(imported, tmp_path / "of-imported")
    for part, table in training_set_of(collected, tmp_path / "of-collected").items():
        assert table.num_rows
        assert table.select(names).sort_by(keys).equals(expected[part].select(names).sort_by(keys)), part

"""The journal becomes events: only what was seen, each once, in order, late feedback in its place."""

import json
import shutil
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds
import pytest

from events import dataset
from events.imported import Imported
from events.importers import tabular
from events.journal.collect import TAKEN, collect, collect_home
from events.journal.joins import EXPOSURE, NOT_SHOWN, OTHER_LISTENER, join
from events.journal.journal import Journal, open_journal
from events.journal.sqlite_keeping import SqliteKeeping
from events.schema import TIMESTAMP
from segue.errors import InputError
from segue.files import read_json, tree_sha256
from stores.settings import Settings
from tests.events.conftest import typed
from tests.events.journal.conftest import NOON
from tests.support.killed import killed_at_each_step

ITEMS = pa.table({"item_id": [f"i{n}" for n in range(20)], "title": [f"Title {n}" for n in range(20)]})


@pytest.fixture
def journal(home):
    """The journal of the home."""
    journal = open_journal(home, Settings())
    yield journal
    journal.close()


@pytest.fixture
def data(home, event):
    """The folder of a data set: plays of `u0` and `u1` before noon of 2026-01-05, and the items `i0` to `i19`."""
    events = typed([event(-10), event(-9), event(-8)])
    dataset.write(home.data, Imported("tiny", ITEMS, pa.table({"user_id": ["u0", "u1"]}), events))
    return home.data


def rows(data, *columns, **where):
    """Return some columns of the collected events, in the order of the log; a single column as plain values."""
    events = dataset.load(data).events().filter(pc.field("request_id").is_valid())
    for name, value in where.items():
        events = events.filter(pc.equal(events[name], value))
    table = events.select(columns).to_pylist()
    return [row[columns[0]] for row in table] if len(columns) == 1 else [tuple(row.values()) for row in table]


def test_a_confirmed_page_becomes_its_confirmed_items_and_what_was_done(journal, data, page, feedback):
    journal.append(page("r1"))
    journal.record([
        feedback("e1", "r1", "i2", "impression"),
        feedback("e2", "r1", "i3", "impression"),
        feedback("e3", "r1", "i3", "impression"),
        feedback("e4", "r1", "i7"),
    ]).result()  # fmt: skip
    result = collect(journal, data)
    assert (result["requests"], result["added"]) == (1, {"impression": 3, "play": 1})
    (first, _, third, play) = dataset.load(data).events().slice(3).to_pylist()
    assert rows(data, "item_id", action="impression") == ["i2", "i3", "i7"]  # what was played was seen
    assert first == {
        "event_id": "impression:r1:2",
        "user_id": "u0",
        "item_id": "i2",
        "ts": NOON,
        "session_id": "s0",
        "surface": "home",
        "position": 2,
        "action": "impression",
        "ms_played": None,
        "query": None,
        "request_id": "r1",
        "policy": "layout@7",
        "propensity": 0.125,
        "exposure": {
            "shelf": "shelf-1",
            "row": 1,
            "column": 2,
            "layout_propensity": 0.25,
            "fallback": 0,
            "model_versions": '{"ranking":3}',
            "arms": "{}",
            "scores": '{"ranking":1.5}',
            "sources": ["retrieval", "popular"],
            "degraded": [],
            "features": "",
            "confirmed": True,
        },
        "received": None,
    }
    assert (third["position"], third["exposure"]["row"], third["exposure"]["column"]) == (7, 2, 2)
    assert play["event_id"] == "e4"
    assert play["ts"] == NOON + timedelta(minutes=1)
    assert (play["position"], play["ms_played"], play["propensity"]) == (7, 40_000, None)
    assert read_json(data / "manifest.json")["collected"] == {
        "journal": journal.keeping.identity(),
        "cursor": result["cursor"],
    }


@pytest.mark.parametrize(
    ("done", "seen"),
    [
        (["i3"], ["i1", "i2", "i3"]),  # the first shelf has i1 to i5, the second i6 to i10
        (["i8"], ["i6", "i7", "i8"]),
        (["i2", "i7"], ["i1", "i2", "i6", "i7"]),
    ],
)
def test_without_confirmations_what_lies_before_in_the_shelf_was_seen(journal, data, page, feedback, done, seen):
    journal.append(page("r1"))
    journal.record([feedback(f"e{n}", "r1", item, "skip") for n, item in enumerate(done)]).result()
    collect(journal, data)
    assert rows(data, "item_id", action="impression") == seen


def test_without_shelves_what_lies_before_in_the_list_was_seen(journal, data, page, feedback):
    journal.append(page("r1", shelf=""))
    journal.record([feedback("e1", "r1", "i7")]).result()
    collect(journal, data)
    assert rows(data, "position", action="impression") == [1, 2, 3, 4, 5, 6, 7]


def test_a_late_confirmation_takes_back_what_was_only_supposed(journal, data, page, feedback):
    journal.append(page("r1"))
    journal.record([feedback("e1", "r1", "i3")]).result()
    collect(journal, data)
    journal.record([feedback("e2", "r1", "i1", "impression")]).result()
    assert collect(journal, data)["added"] == {"impression": -1}
    assert rows(data, "item_id", action="impression") == ["i1", "i3"]


def test_a_page_that_nobody_has_seen_gives_nothing(journal, data, page):
    before = tree_sha256(data)
    journal.append(page("r1")).result()
    assert collect(journal, data)["requests"] == 0
    assert tree_sha256(data) == before


def test_late_feedback_goes_to_its_day_and_a_second_collection_changes_nothing(journal, data, page, feedback):
    journal.append([*page("r1", ts=NOON - timedelta(days=2)), *page("r2")])
    journal.record([feedback("e2", "r2", "i1")]).result()
    collect(journal, data)
    journal.record([feedback("e1", "r1", "i1", ts=NOON - timedelta(days=2, minutes=-3))]).result()
    collect(journal, data)
    assert [path.name for path in sorted((data / "events").iterdir())] == ["day=2026-01-03", "day=2026-01-05"]
    assert rows(data, "event_id") == ["impression:r1:1", "e1", "impression:r2:1", "e2"]
    before = tree_sha256(data)
    assert collect(journal, data)["added"] == {}
    assert tree_sha256(data) == before


def test_feedback_without_exposure_stays_an_interaction_and_its_confirmation_waits_aside(journal, data, page, feedback):
    journal.record([feedback("e1", "r1", "i1"), feedback("e2", "r1", "i2", "impression")]).result()
    result = collect(journal, data)
    assert (result["added"], result["unexplained"], result["quarantined"]) == ({"play": 1}, 1, {NOT_SHOWN: 1})
    assert rows(data, "event_id", "surface", "policy") == [("e1", None, None)]
    entry = dataset.load(data).quarantine().to_pylist()[0]
    assert (entry["file"], json.loads(entry["record"])["event_id"]) == ("journal", "e2")
    journal.append(page("r1")).result()  # the page comes late
    result = collect(journal, data)
    assert (result["added"], result["unexplained"], result["quarantined"]) == ({"impression": 2}, 0, {})
    assert rows(data, "event_id", "policy") == [
        ("impression:r1:1", "layout@7"),
        ("impression:r1:2", "layout@7"),
        ("e1", "layout@7"),
    ]
    assert dataset.load(data).quarantine().num_rows == 0


def test_what_cannot_be_used_is_quarantined_once_with_its_reason(journal, data, page, feedback):
    journal.append([*page("r1"), *page("r2", item_id="i99")[:1]])
    journal.record([
        feedback("e1", "r1", "i1", user_id="u1"),
        feedback("e2", "r2", "i99"),
        feedback("e3", "r1", "i77", "impression"),
        feedback("e-10", "r1", "i2"),  # an imported event has this id
        feedback("e4", "r1", "i2"),
    ]).result()  # fmt: skip
    result = collect(journal, data)
    unknown = "item_id is not in items"
    assert result["quarantined"] == {OTHER_LISTENER: 1, unknown: 2, NOT_SHOWN: 1, TAKEN: 1}
    assert rows(data, "event_id") == ["impression:r1:1", "impression:r1:2", "e4"]
    assert read_json(data / "manifest.json")["quarantine_reasons"] == result["quarantined"]
    journal.record([feedback("e5", "r1", "i3")]).result()
    assert collect(journal, data)["quarantined"].keys() == {OTHER_LISTENER, NOT_SHOWN, TAKEN}
    assert read_json(data / "manifest.json")["quarantine_reasons"] == {**result["quarantined"]}
    assert dataset.load(data).events()["event_id"].to_pylist().count("e-10") == 1
    more = pa.table({"item_id": ["i99"], "title": ["Late Release"]})
    assert unknown not in collect(journal, data, more)["quarantined"]
    assert rows(data, "event_id", item_id="i99") == ["impression:r2:1", "e2"]


def test_a_long_journal_is_collected_in_parts(journal, data, home, page, feedback, monkeypatch, tmp_path):
    """The log is that of one collection. A part that was killed is collected again, and no part holds much."""
    for number in range(9):
        journal.append(page(f"r{number}"))
        journal.record([feedback(f"e{number}", f"r{number}", "i3"), feedback(f"late{number}", f"r{number // 2}", "i5")])
    journal.record([]).result()
    shutil.copytree(data, tmp_path / "whole")
    whole = collect(journal, tmp_path / "whole")
    sizes = []

    def counted(*arguments):
        joined = join(*arguments)
        sizes.append(joined.requests)
        if len(sizes) == 3:
            raise KilledError
        return joined

    monkeypatch.setattr("events.journal.collect.join", counted)
    monkeypatch.setattr("events.journal.collect.PART", 4)
    with pytest.raises(KilledError):
        collect(journal, data)
    parts = collect(journal, data)
    assert len(sizes) >= 27 // 4
    assert max(sizes) <= 4
    assert parts["cursor"] == whole["cursor"]
    assert dataset.load(data).events().equals(dataset.load(tmp_path / "whole").events())


class KilledError(Exception):
    """A collection ends here."""


def test_an_event_says_when_it_came_and_what_was_degraded(journal, data, page, feedback):
    journal.append(page("r1", degraded=("features", "sequence")))
    journal.record([feedback("e1", "r1", "i1", received=NOON + timedelta(minutes=9))]).result()
    collect(journal, data)
    assert rows(data, "received") == [None, NOON + timedelta(minutes=9)]
    exposure = rows(data, "exposure", action="play")[0]
    assert (exposure["degraded"], exposure["confirmed"]) == (["features", "sequence"], False)


def test_what_a_page_was_served_with_lies_beside_the_events(journal, data, page, feedback):
    for request, served in (("r1", '{"country":"SE"}'), ("r2", '{"country":"NO"}'), ("r3", "")):
        journal.append(page(request, served=served))
    journal.record([feedback("e1", "r1", "i1"), feedback("e3", "r3", "i1")]).result()  # nobody saw the page r2
    collect(journal, data)
    row = {"request_id": "r1", "user_id": "u0", "ts": NOON, "served": '{"country":"SE"}'}
    assert dataset.load(data).served().to_pylist() == [row]
    journal.record([feedback("e2", "r2", "i1"), feedback("e4", "r1", "i2")]).result()
    collect(journal, data)
    assert dataset.load(data).served()["request_id"].to_pylist() == ["r1", "r2"]
    journal.record([feedback("e5", "r1", "i3", "impression")]).result()  # the page stays seen, in other places
    collect(journal, data)
    assert dataset.load(data).served()["request_id"].to_pylist() == ["r1", "r2"]


def test_a_log_that_an_earlier_version_collected_goes_on(journal, home, page, feedback, event):
    fields = [one for one in EXPOSURE.type if one.name not in ("degraded", "features", "confirmed")]
    old = typed([event(0), event(-1)]).append_column(
        "exposure", pa.array([{"shelf": "s", "row": 1}, None], pa.struct(fields))
    )
    dataset.write(home.data, Imported("tiny", ITEMS, pa.table({"user_id": ["u0", "u1"]}), old))
    journal.append(page("r1"))
    journal.record([feedback("e9", "r1", "i1")]).result()
    collect(journal, home.data)
    exposures = {row["event_id"]: row["exposure"] for row in dataset.load(home.data).events().to_pylist()}
    assert exposures["e0"] == dict.fromkeys(EXPOSURE.type.names) | {"shelf": "s", "row": 1}
    assert exposures["impression:r1:1"]["degraded"] == []


def test_an_interaction_is_not_before_its_exposure(journal, data, page, feedback):
    journal.append(page("r1"))
    journal.record([feedback("e1", "r1", "i1", ts=NOON - timedelta(hours=1))]).result()
    collect(journal, data)
    assert rows(data, "ts") == [NOON, NOON]


def test_a_new_listener_joins_the_users(journal, data, page, feedback):
    journal.append(page("r1", user_id="new"))
    journal.record([feedback("e1", "r1", "i1", user_id="new")]).result()
    assert collect(journal, data)["listeners"] == 1
    assert dataset.load(data).users["user_id"].to_pylist() == ["u0", "u1", "new"]


def test_the_log_goes_on(journal, data, page, feedback):
    before = dataset.load(data).manifest
    for number in range(3):
        journal.append(page(f"r{number}"))
        journal.record([feedback(f"e{number}", f"r{number}", "i1"), feedback(f"f{number}", "none", "i1")]).result()
        collect(journal, data)
    after = dataset.load(data).manifest
    assert (after["log"], after["dataset"]) == (before["log"], "tiny")
    assert len([line for line in after["mapping"] if "belong to no impression" in line]) == 1


def test_an_import_that_replaces_the_log_gets_the_journal_again(journal, data, page, feedback, event, home):
    journal.append(page("r1"))
    journal.record([feedback("e1", "r1", "i1")]).result()
    collect(journal, data)
    dataset.write(data, Imported("tiny", ITEMS, pa.table({"user_id": ["u0", "u1"]}), typed([event(-2), event(-1)])))
    assert collect(journal, data)["added"] == {"impression": 1, "play": 1}


def test_another_journal_is_collected_from_its_beginning(journal, data, page, feedback, tmp_path):
    for number in range(3):
        journal.append(page(f"r{number}"))
        journal.record([feedback(f"e{number}", f"r{number}", "i1")]).result()
    collect(journal, data)
    other = Journal(SqliteKeeping(tmp_path / "other.db"))
    other.append(page("s1"))
    other.record([feedback("x1", "s1", "i1")]).result()
    assert collect(other, data)["added"] == {"impression": 1, "play": 1}
    other.close()


def test_a_home_without_a_log_needs_items_and_then_gets_one(journal, home, page, feedback):
    journal.append([*page("r1"), *page("r2", user_id="u1")])
    journal.record([feedback("e1", "r1", "i1"), feedback("e2", "r2", "i2", user_id="u1")]).result()
    with pytest.raises(InputError, match="None has been imported") as refused:
        collect(journal, home.data)
    assert "--items" in refused.value.fix
    assert not home.data.exists()
    assert collect(journal, home.data, ITEMS)["added"] == {"impression": 3, "play": 2}
    assert dataset.load(home.data).users["user_id"].to_pylist() == ["u0", "u1"]


def test_old_requests_are_dropped_after_their_collection_and_stay_in_the_log(journal, data, page, feedback, home):
    now = NOON + timedelta(days=31)
    journal.append([*page("old"), *page("new", ts=now)])
    journal.record([feedback("e1", "old", "i1"), feedback("e2", "new", "i1", ts=now)]).result()
    assert collect_home(journal, home, now, timedelta(days=30))["dropped"] == 2
    assert journal.exposures("old") == []
    assert len(journal.exposures("new")) == 10
    # The page is gone: a repeated event stays as it was, a new one is an interaction without impression.
    journal.record([feedback("e1", "old", "i1"), feedback("e3", "old", "i2"), feedback("e4", "new", "i2")]).result()
    result = collect_home(journal, home, now, timedelta(days=30))
    assert (result["added"], result["unexplained"]) == ({"play": 2, "impression": 1}, 1)
    assert rows(data, "event_id", "position", request_id="old") == [
        ("impression:old:1", 1),
        ("e1", 1),
        ("e3", None),
    ]


@pytest.mark.parametrize("own", [{"exposure": "x"}, {"received": NOON}], ids=["exposure", "received"])
def test_a_log_with_such_a_column_of_its_own_is_refused(journal, home, page, feedback, event, own):
    events = typed([event(0, **own), event(1, **own)])
    dataset.write(home.data, Imported("tiny", ITEMS, pa.table({"user_id": ["u0", "u1"]}), events))
    journal.append(page("r1"))
    journal.record([feedback("e1", "r1", "i1")]).result()
    with pytest.raises(InputError, match=next(iter(own))):
        collect(journal, home.data)


def test_a_collected_log_can_be_imported(journal, data, page, feedback):
    journal.append(page("r1"))
    journal.record([feedback("e1", "r1", "i1")]).result()
    collect(journal, data)
    events = tabular.read(data / "events").events
    assert (events.schema.field("exposure").type, events.schema.field("received").type) == (EXPOSURE.type, TIMESTAMP)
    assert events.num_rows == dataset.load(data).events().num_rows


def test_other_columns_of_the_log_stay(journal, home, page, feedback, event):
    events = typed([event(-2, mood="calm"), event(-1, mood="wild")])
    dataset.write(home.data, Imported("tiny", ITEMS, pa.table({"user_id": ["u0", "u1"]}), events))
    journal.append(page("r1"))
    journal.record([feedback("e1", "r1", "i1")]).result()
    collect(journal, home.data)
    files = pds.dataset(dataset.load(home.data).events_files, format="parquet")
    assert sorted(map(str, files.to_table()["mood"].to_pylist())) == ["None", "None", "calm", "wild"]


@pytest.mark.slow
def test_a_collection_that_is_killed_at_any_step_has_happened_or_not(journal, data, page, feedback, home):
    journal.append(page("r1"))
    journal.record([feedback("e1", "r1", "i3")]).result()
    expected = [*(f"impression:r1:{n}" for n in (1, 2, 3)), "e1"]
    seen = []
    for _ in killed_at_each_step(lambda: collect(open_journal(home, Settings()), data), every=10):
        tables = dataset.load(data)
        collected = "collected" in tables.manifest
        assert rows(data, "event_id") == (expected if collected else [])
        seen.append(collected)
    assert (seen[0], seen[-1]) == (False, True)
    assert collect(journal, data)["added"] == {}
    assert rows(data, "event_id") == expected

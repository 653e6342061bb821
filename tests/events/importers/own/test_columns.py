"""Columns and values mapped to the contract, table by table."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events.importers import tabular
from events.importers.own import columns
from segue.errors import InputError

EVENTS = "id,user_id,item_id,ts,action\n1,u0,i0,2026-01-05,play\n2,u1,i1,2026-01-06,skip\n"
ITEMS = "id,name\ni0,Amber River\ni1,Blue Train\n"
USERS = "id,country\nu0,SE\nu1,NO\n"


@pytest.fixture
def log(tmp_path):
    """Paths of the three tables; each calls its key `id`."""
    for name, text in (("events", EVENTS), ("items", ITEMS), ("users", USERS)):
        (tmp_path / f"{name}.csv").write_text(text)
    return {name: tmp_path / f"{name}.csv" for name in columns.CONTRACT}


@pytest.mark.parametrize(
    "mapping",
    [
        {"event_id": "id", "item_id": "id", "user_id": "id", "title": "name"},
        {"events.event_id": "id", "items.item_id": "id", "users.user_id": "id", "items.title": "name"},
        {"user_id": "id", "event_id": "id", "items.item_id": "id", "title": "name"},
    ],
    ids=["bare", "by table", "both"],
)
def test_tables_that_call_their_keys_alike_keep_the_events_own_ids(log, mapping):
    imported = tabular.read(**log, mapping=mapping)
    assert imported.events.select(["event_id", "user_id", "item_id"]).to_pylist() == [
        {"event_id": "1", "user_id": "u0", "item_id": "i0"},
        {"event_id": "2", "user_id": "u1", "item_id": "i1"},
    ]
    assert imported.items["item_id"].to_pylist() == ["i0", "i1"]
    assert imported.users["user_id"].to_pylist() == ["u0", "u1"]
    assert {"events: id -> event_id", "items: id -> item_id", "users: id -> user_id"} <= set(imported.mapping)


CASES = {"events": ["id", "user_id", "ts"], "items": ["id", "name"], "users": ["id", "user"]}


@pytest.mark.parametrize(
    ("mapping", "renames"),
    [
        ({"ts": "id"}, {"events": {"ts": "id"}}),  # the only table with a ts: its own is replaced
        ({"item_id": "id"}, {"events": {"item_id": "id"}, "items": {"item_id": "id"}}),
        ({"item_id": "id", "events.item_id": "ts"}, {"events": {"item_id": "ts"}, "items": {"item_id": "id"}}),
        ({"label_like": "id"}, {"events": {"label_like": "id"}}),
        ({"mood": "id"}, {"events": {"mood": "id"}, "items": {"mood": "id"}, "users": {"mood": "id"}}),
        ({"users.user_id": "user"}, {"users": {"user_id": "user"}}),
    ],
)
def test_a_mapping_without_a_table_is_for_the_tables_that_lack_the_column(mapping, renames):
    resolved = columns.resolve(mapping, CASES)
    assert {name: table.renames for name, table in resolved.items() if table.renames} == renames


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"event_id": "id", "request_id": "id"}, "'id' of the events is mapped to event_id and request_id"),
        ({"event_id": "id", "item_id": "id"}, "'id' of the events is mapped to event_id and item_id"),
        ({"items.title": "name", "items.creator": "name"}, "'name' of the items is mapped to title and creator"),
        ({"title": "ts"}, "no file of items has a column 'ts'. There are: id, name"),
        ({"events.ts": "name"}, "no file of events has a column 'name'. There are: id, ts, user_id"),
        ({"action.click": "plya"}, "action is one of impression, play, skip, like, add. Received 'plya'"),
        ({"tittle": "name"}, "the contract has no 'tittle'. Use `--map title=name`"),
        ({"Genre": "name"}, "the contract has no 'Genre'. Use `--map genres=name`"),
        ({"event.mood": "id"}, "the contract has no 'event.mood'. Before the point stands events, items, users or a"),
        ({"actions.click": "id"}, "the contract has no 'actions.click'"),
        ({"surface.start": "house"}, "surface is one of home, now_playing"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(mapping, message):
    with pytest.raises(InputError, match=message):
        columns.resolve(mapping, CASES)


def test_a_mapping_of_a_table_without_files_is_refused(log):
    with pytest.raises(InputError, match=r"no items are given.*Add `--items FILE`"):
        tabular.read(log["events"], mapping={"items.title": "name"})


@pytest.mark.parametrize("written", ["Play", "PLAY", " play ", "click", "CLICK", "track.start", "3"])
def test_actions_are_read_in_any_case_and_mapped(tmp_path, written):
    (tmp_path / "log.csv").write_text(EVENTS.replace("id,", "event_id,", 1).replace("play", written))
    mapping = {f"action.{theirs}": "play" for theirs in ("click", "track.start", "3") if theirs == written.lower()}
    assert tabular.read(tmp_path / "log.csv", mapping=mapping).events["action"].to_pylist() == ["play", "skip"]


def test_coded_actions_of_any_type_are_mapped():
    table = pa.table({"action": pa.array([1, 2, None]), "surface": pa.array(["HOME", "x", None]).dictionary_encode()})
    met = set()
    translated = columns.translate(table, {"action": {"1": "play", "2": "skip"}}, met)
    assert translated["action"].to_pylist() == ["play", "skip", None]
    assert translated["surface"].to_pylist() == ["home", "x", None]
    assert met == {("action", "1"), ("action", "2")}


@pytest.mark.parametrize("values", [[1.5, 2.0], [True, False], [1, 2], ["play", None]])
def test_actions_without_a_mapping_are_kept_as_text(tmp_path, values):
    rows = {"user_id": ["u0", "u1"], "item_id": ["i0", "i0"], "ts": ["2026-01-05"] * 2, "action": values}
    pq.write_table(pa.table(rows), tmp_path / "log.parquet")
    texts = pa.array(values).cast(pa.string()).to_pylist()
    assert tabular.read(tmp_path / "log.parquet").events["action"].to_pylist() == texts


@pytest.mark.parametrize("value", [["play"], {"name": "play"}, b"\xff"])
def test_an_action_that_is_no_text_is_refused_with_its_row(tmp_path, value):
    rows = {"user_id": ["u0"], "item_id": ["i0"], "ts": ["2026-01-05"], "action": [value]}
    pq.write_table(pa.table(rows), tmp_path / "log.parquet")
    with pytest.raises(InputError, match=r"log.parquet, row 1: action is .*, which is not text"):
        tabular.read(tmp_path / "log.parquet")


@pytest.mark.parametrize("value", ["surface.start", "events.surface.start", "query.x"])
def test_a_mapped_value_of_an_absent_column_is_refused(log, value):
    with pytest.raises(InputError, match=r"no file of events has a column '(surface|query)'"):
        tabular.read(log["events"], mapping={"event_id": "id", value: "home"})


def test_an_unknown_action_stays_for_the_quarantine(tmp_path):
    (tmp_path / "log.csv").write_text(EVENTS.replace("play", "Hum"))
    assert tabular.read(tmp_path / "log.csv").events["action"].to_pylist() == ["Hum", "skip"]


@pytest.mark.parametrize("word", ["NULL", r"\N", "None", "nan"])
def test_a_surface_may_be_missing_in_words(word):
    translated = columns.translate(pa.table({"surface": [word, "Home", "NULLS"]}), {}, set())
    assert translated["surface"].to_pylist() == [None, "home", "NULLS"]


def test_a_mapped_value_that_no_row_has_is_refused(log):
    with pytest.raises(InputError, match=r"`--map action.clik=play`: no row .* this action. There are: play, skip"):
        tabular.read(log["events"], mapping={"event_id": "id", "action.clik": "play"})

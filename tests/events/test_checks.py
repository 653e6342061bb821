"""The rules of an import: a broken table stops it, and a broken row is quarantined."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from events import checks
from events.checks import check
from events.origins import RowOrigins
from segue.errors import InputError

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_a_data_set_without_faults_passes_and_gets_the_columns_of_the_contract(event, imported):
    checked = check(imported([event(0), event(1)]))
    assert checked.events.num_rows == 2
    assert checked.events.column_names[:5] == ["event_id", "user_id", "item_id", "ts", "session_id"]
    assert checked.events["position"].null_count == 2
    assert checked.quarantine.num_rows == 0


def test_other_columns_follow_the_canonical_ones(event, imported):
    items = pa.table({"mood": ["calm"], "title": ["Amber River"], "item_id": ["i0"]})
    checked = check(imported([event(0, rating=4.5), event(1, rating=None)], items=items))
    assert checked.events["rating"].to_pylist() == [4.5, None]
    assert checked.items.column_names[-1] == "mood"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"action": "hum"}, checks.UNKNOWN_ACTION),
        ({"action": None}, checks.UNKNOWN_ACTION),
        ({"surface": "car"}, checks.UNKNOWN_SURFACE),
        ({"item_id": "i9"}, checks.UNKNOWN_ITEM),
        ({"user_id": "u9"}, checks.UNKNOWN_USER),
        ({"ms_played": -1}, checks.NEGATIVE_PLAY),
        ({"position": -1}, checks.NEGATIVE_POSITION),
        ({"propensity": 0.0}, checks.NO_PROBABILITY),
        ({"propensity": 1.5}, checks.NO_PROBABILITY),
        ({"propensity": float("nan")}, checks.NO_PROBABILITY),
        ({"action": "hum", "item_id": "i9"}, checks.UNKNOWN_ACTION),  # the reason is the first broken rule
    ],
)
def test_a_broken_row_is_quarantined_with_file_row_reason_and_record(event, imported, values, reason):
    checked = check(imported([event(0), event(1), event(2, **values)]))
    assert checked.events["event_id"].to_pylist() == ["e0", "e1"]
    (entry,) = checked.quarantine.to_pylist()
    assert (entry["table"], entry["file"], entry["row"], entry["reason"]) == ("events", "events", 3, reason)
    assert json.loads(entry["record"])["event_id"] == "e2"


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        (pa.array([1, 1, 2**60], pa.timestamp("us")), "<value out of range: 1152921504606846976>"),
        (pa.array([1, 1, 2**62], pa.duration("s")), str(2**62)),
        (pa.array([[0.5], [], [float("nan")]]), [None]),
        (pa.array([0.5, 1.0, float("inf")]), "inf"),
        (pa.array([[1], [], [2**60]], pa.list_(pa.timestamp("us"))), "a list<item: timestamp[us]> out of range"),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_any_value_of_a_quarantined_row_is_in_its_record(event, imported, column, shown):
    rows = [event(0), event(1), event(2, action="hum")]
    events = pa.table({name: [row[name] for row in rows] for name in rows[0]}).append_column("extra", column)
    (entry,) = check(replace(imported([]), events=events)).quarantine.to_pylist()
    assert json.loads(entry["record"], parse_constant=pytest.fail)["extra"] == shown


@pytest.mark.parametrize(
    "values",
    [{"propensity": 1.0}, {"position": 0}, {"ms_played": 0}, {"surface": None, "propensity": None}],
    ids=str,
)
def test_the_ends_of_the_ranges_are_valid(event, imported, values):
    assert check(imported([event(0), event(1, **values)])).quarantine.num_rows == 0


def test_an_item_without_a_title_is_quarantined_with_its_events(event, imported):
    items = pa.table({"item_id": ["i0", "i1"], "title": ["Amber River", None]})
    checked = check(imported([event(0), event(1), event(2, item_id="i1")], items=items))
    assert checked.items["item_id"].to_pylist() == ["i0"]
    reasons = [(entry["table"], entry["reason"]) for entry in checked.quarantine.to_pylist()]
    assert reasons == [("items", checks.NO_TITLE), ("events", checks.UNKNOWN_ITEM)]


@pytest.mark.parametrize("key", ["event_id", "user_id", "item_id", "ts"])
def test_a_null_in_a_required_column_stops_the_import(event, imported, key):
    with pytest.raises(InputError, match=rf"events, row 2: {key} is null"):
        check(imported([event(0), event(1, **{key: None})]))


def test_a_duplicate_event_stops_the_import_and_its_second_row_is_named(event, imported):
    with pytest.raises(InputError, match=r"events, row 4: event_id 'e1' is a duplicate"):
        check(imported([event(0), event(1), event(2), event(1), event(0)]))


@pytest.mark.parametrize(
    ("table", "rows", "rule"),
    [
        ("items", {"item_id": ["i0", "i0"], "title": ["A", "B"]}, "items, row 2: item_id 'i0' is a duplicate"),
        ("users", {"user_id": ["u0", "u1", "u0"]}, "users, row 3: user_id 'u0' is a duplicate"),
        ("users", {"user_id": ["u0", None]}, "users, row 2: user_id is null"),
    ],
)
def test_duplicate_and_null_ids_of_items_and_users_stop_the_import(event, imported, table, rows, rule):
    with pytest.raises(InputError, match=rule):
        check(imported([event(0), event(1)], **{table: pa.table(rows)}))


@pytest.mark.parametrize("word", ["nan", "None", "NULL", r"\N", "undefined"])
@pytest.mark.parametrize("key", ["user_id", "item_id"])
def test_a_word_for_a_missing_value_is_no_listener_and_no_item(event, imported, key, word):
    """Otherwise all events without an id would be those of one listener or item."""
    table = pa.table({key: [f"{key[0]}0", word], "title": ["A", "B"]})
    name = "users" if key == "user_id" else "items"
    with pytest.raises(InputError, match=rf"{name}, row 2: {key} is '.*', which is how a missing value is written"):
        check(imported([event(0), event(1)], **{name: table}))


def test_a_time_outside_the_range_stops_the_import(event, imported):
    early = datetime(1989, 12, 31, 23, 59, 59, tzinfo=UTC)
    with pytest.raises(InputError, match=r"row 2: ts 1989-12-31T23:59:59 lies outside .* 1990-01-01"):
        check(imported([event(0), event(1, ts=early)]))
    with pytest.raises(InputError, match=r"row 3: ts 2026-01-05T12:02:00 .* 1990-01-01 \.\. 2026-01-05"):
        check(imported([event(0), event(1), event(2)]), latest=NOON + timedelta(minutes=1))
    assert check(imported([event(0), event(1)]), latest=NOON + timedelta(minutes=1)).events.num_rows == 2


def test_the_error_can_name_a_year_after_9999(event, imported):
    tiny = imported([event(0), event(1)])
    far = pa.array([1_767_607_200_000_000, 10**18]).cast(pa.timestamp("us", tz="UTC"))
    with pytest.raises(InputError, match=r"row 2: ts 33658-.* lies outside the declared range"):
        check(replace(tiny, events=tiny.events.set_column(3, "ts", far)), latest=NOON)


def test_the_error_about_a_missing_column_lists_the_columns_of_the_file(event, imported):
    tiny = imported([event(0), event(1)])
    with pytest.raises(InputError, match=r"events: the column 'action' is missing. It has: event_id, user_id") as e:
        check(replace(tiny, events=tiny.events.drop_columns(["action"])))
    assert "--map action=" in e.value.fix


def test_a_column_named_day_is_refused_because_events_are_stored_by_day(event, imported):
    with pytest.raises(InputError, match="the column 'day' is taken"):
        check(imported([event(0, day="Monday"), event(1)]))


def test_an_import_without_valid_events_stops(event, imported):
    with pytest.raises(InputError, match="events has no rows"):
        check(imported([]))
    with pytest.raises(InputError, match="no event is left"):
        check(imported([event(0, action="hum"), event(1, action="hum")]))


def test_a_second_listener_whose_events_are_all_quarantined_does_not_count(event, imported):
    with pytest.raises(InputError, match="needs at least two users with events; got 1"):
        check(imported([event(0), event(2), event(1, action="hum")]))


def test_errors_name_the_file_and_row_that_a_row_was_read_from(event, imported):
    origins = RowOrigins.concat([RowOrigins.of("a.csv", 1, first=2), RowOrigins.of("b.csv", 2, first=2)])
    tiny = imported([event(0), event(1), event(2, item_id=None)])
    with pytest.raises(InputError, match=r"b.csv, row 3: item_id is null"):
        check(replace(tiny, origins={"events": origins}))

"""Labels: what followed an impression, or what an interaction says itself."""

import math
from datetime import UTC, datetime, timedelta

import ibis
import pyarrow as pa
import pytest

from events import labels as E
from events import schema

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
THROUGH = schema.PLAY_THROUGH_MS


ITEMS = ibis.memtable(
    pa.Table.from_pylist(
        [{"item_id": "i1", "title": "Amber River", "duration_ms": 100_000}, {"item_id": "i2", "title": "Untimed"}],
        schema=schema.ITEMS,
    )
)  # i1 is complete from 90,000 ms on


def log(*rows: dict, **columns: pa.Array) -> ibis.Table:
    """A log of `u1`, one second an event; `columns` go beyond the schema."""
    full = [
        {"event_id": f"e{n}", "user_id": "u1", "item_id": "i1", "ts": NOON + timedelta(seconds=n)} | row
        for n, row in enumerate(rows)
    ]
    table = pa.Table.from_pylist(full, schema=schema.EVENTS)
    for name, values in columns.items():
        table = table.append_column(name, values)
    return ibis.memtable(table)


def shown(**fields) -> dict:
    return {"action": "impression", "request_id": "r1", **fields}


def done(action: str, ms: int | None = None, **fields) -> dict:
    return {"action": action, "ms_played": ms, "request_id": "r1", **fields}


def labels(events: ibis.Table) -> list[tuple]:
    """`(play, skip, like, positive)` of each example, in order of time."""
    rows = E.examples(events).order_by("event_id").to_pyarrow().to_pylist()
    return [(row["label_play"], row["label_skip"], row["label_like"], row["positive"]) for row in rows]


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        pytest.param([], (0, 0, 0, False), id="nothing followed"),
        pytest.param([done("play")], (None, 0, 0, False), id="a play of unknown length"),
        pytest.param([done("play", THROUGH)], (1, 0, 0, True), id="played for 30 s"),
        pytest.param([done("play", THROUGH - 1)], (0, 0, 0, False), id="played for less"),
        pytest.param([done("skip", 5_000)], (0, 1, 0, False), id="skipped"),
        pytest.param([done("skip", THROUGH)], (0, 1, 0, False), id="a late skip is no play"),
        pytest.param([done("play", THROUGH), done("like")], (1, 0, 1, True), id="played and liked"),
        pytest.param([done("like")], (0, 0, 1, True), id="liked only"),
        pytest.param([done("add")], (0, 0, 0, False), id="added only"),
        pytest.param([done("play", 10), done("play", THROUGH)], (1, 0, 0, True), id="the longest play counts"),
    ],
)
def test_an_impression_is_labelled_by_what_followed(outcomes, expected):
    assert labels(log(shown(), *outcomes)) == [expected]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"request_id": "r2"}, id="another request"),
        pytest.param({"item_id": "i2"}, id="another item"),
        pytest.param({"user_id": "u2"}, id="another listener"),
        pytest.param({"request_id": None}, id="no request"),
    ],
)
def test_outcomes_of_something_else_do_not_count(other):
    assert labels(log(shown(), done("play", THROUGH, **other))) == [(0, 0, 0, False)]


def test_impressions_without_a_request_have_no_outcome():
    # Two nulls are not the same request.
    assert labels(log(shown(request_id=None), done("like", request_id=None))) == [(0, 0, 0, False)]


def test_every_impression_is_one_example():
    events = log(shown(), shown(item_id="i2"), shown(request_id="r2"), done("like", request_id="r2"))
    assert labels(events) == [(0, 0, 0, False), (0, 0, 0, False), (0, 0, 1, True)]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(done("play", THROUGH), (1, 0, 0, True), id="played for 30 s"),
        pytest.param(done("play", THROUGH - 1), (0, 0, 0, True), id="played for less"),
        pytest.param(done("play"), (None, 0, 0, True), id="nobody says how long"),
        pytest.param(done("skip", 0), (0, 1, 0, True), id="skip"),
        pytest.param(done("like"), (None, 0, 1, True), id="like"),
        pytest.param(done("add"), (None, 0, 0, True), id="add"),
    ],
)
def test_without_impressions_the_action_is_the_label(row, expected):
    assert labels(log(row)) == [expected]


def test_labels_that_the_importer_states_win():
    # The action says "no like" and "no skip"; the importer knows of a like and knows nothing of a skip.
    events = log(
        done("play", THROUGH),
        done("play", THROUGH),
        label_like=pa.array([1, None], pa.int8()),
        label_skip=pa.array([None, 1], pa.int8()),
    )
    assert labels(events) == [(1, None, 1, True), (1, 1, None, True)]


def test_a_label_stated_on_an_impression_wins_too():
    events = log(shown(), done("play", THROUGH), label_like=pa.array([1, None], pa.int8()))
    assert labels(events) == [(1, 0, 1, True)]


def test_a_label_that_is_stated_as_unknown_stays_unknown():
    events = log(shown(), done("like"), label_like=pa.array([None, None], pa.int8()))
    assert labels(events) == [(0, 0, None, False)]


def further(events: ibis.Table) -> list[tuple]:
    """`(complete, add, seconds listened)` of each example, in order of time."""
    rows = E.examples(events, ITEMS).order_by("event_id").to_pyarrow().to_pylist()
    seconds = [None if row["label_listen"] is None else round(math.expm1(row["label_listen"]), 2) for row in rows]
    return [(row["label_complete"], row["label_add"], s) for row, s in zip(rows, seconds, strict=True)]


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        pytest.param([], (0, 0, 0), id="nothing followed"),
        pytest.param([done("play", 90_000)], (1, 0, 90), id="played nine tenths"),
        pytest.param([done("play", 89_999)], (0, 0, 90), id="played for less"),
        pytest.param([done("play")], (None, 0, None), id="a play of unknown length"),
        pytest.param([done("skip", 5_000)], (0, 0, 5), id="skipped after 5 s"),
        pytest.param([done("skip", 95_000)], (0, 0, 95), id="a late skip is not complete"),
        pytest.param([done("play", 40_000), done("play", 60_000)], (0, 0, 100), id="seconds add up, plays do not"),
        pytest.param([done("play", 90_000), done("add")], (1, 1, 90), id="played and added"),
        pytest.param([done("add")], (0, 1, None), id="added only"),
    ],
)
def test_completion_adds_and_seconds_of_an_impression(outcomes, expected):
    assert further(log(shown(), *outcomes)) == [expected]


def test_completion_is_unknown_where_the_duration_is():
    # Zeros where nothing followed, and unknown where something did, would teach that nobody completes it.
    play = done("play", 90_000, item_id="i2")
    assert further(log(shown(item_id="i2"), shown(item_id="i2", request_id="r2"), play)) == [
        (None, 0, 90),
        (None, 0, 0),
    ]
    assert further(log(play)) == [(None, 0, 90)]


def test_completion_is_unknown_without_a_catalogue():
    rows = E.examples(log(shown(), done("play", 90_000))).to_pyarrow().to_pylist()
    assert [row["label_complete"] for row in rows] == [None]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(done("play", 90_000), (1, 0, 90), id="played nine tenths"),
        pytest.param(done("play", 89_000), (0, 0, 89), id="played for less"),
        pytest.param(done("add"), (None, 1, None), id="add"),
    ],
)
def test_completion_adds_and_seconds_of_an_interaction(row, expected):
    assert further(log(row)) == [expected]


def test_a_column_of_the_log_may_be_named_like_one_of_the_catalogue():
    # Only the catalogue says how long an item is.
    events = log(shown(), done("play", 90_000), duration_ms=pa.array([1, 1], pa.int64()))
    assert further(events) == [(1, 0, 90)]


def test_seconds_that_the_importer_states_win():
    events = log(shown(), done("play", 90_000), label_listen=pa.array([math.log1p(7), None], pa.float32()))
    assert further(events) == [(1, 0, 7)]


@pytest.mark.parametrize("row", [shown(), done("play", 1)], ids=["impressions", "interactions"])
def test_the_columns_are_the_same_with_and_without_impressions(row):
    columns = E.examples(log(row)).columns
    kept = ("event_id", "user_id", "item_id", "ts", "session_id", "request_id", "surface", "position", "propensity")
    assert tuple(columns) == (*kept, *schema.LABEL_COLUMNS, "positive")

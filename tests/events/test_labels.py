"""Labels come from the interactions that followed an impression, or from the action of an interaction."""

import math
from datetime import UTC, datetime, timedelta

import ibis
import pyarrow as pa
import pytest

from events import schema
from events.labels import examples

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
THROUGH = schema.PLAY_THROUGH_MS

ITEMS = ibis.memtable(
    pa.Table.from_pylist(
        [{"item_id": "i1", "title": "Amber River", "duration_ms": 100_000}, {"item_id": "i2", "title": "Untimed"}],
        schema=schema.ITEMS,
    )
)  # a play of i1 is complete from 90,000 ms on; the duration of i2 is unknown


def log(*rows: dict, **columns: pa.Array) -> ibis.Table:
    """Return a log of `u1` with an event every second. `columns` are added to those of the schema."""
    complete_rows = [
        {"event_id": f"e{n}", "user_id": "u1", "item_id": "i1", "ts": NOON + timedelta(seconds=n)} | row
        for n, row in enumerate(rows)
    ]
    table = pa.Table.from_pylist(complete_rows, schema=schema.EVENTS)
    for name, values in columns.items():
        table = table.append_column(name, values)
    return ibis.memtable(table)


def impression(**fields) -> dict:
    return {"action": "impression", "request_id": "r1", **fields}


def interaction(action: str, ms: int | None = None, **fields) -> dict:
    return {"action": action, "ms_played": ms, "request_id": "r1", **fields}


def play_skip_like_positive(events: ibis.Table) -> list[tuple]:
    """Return `(play, skip, like, positive)` of each example, in order of time."""
    rows = examples(events).order_by("event_id").to_pyarrow().to_pylist()
    return [(row["label_play"], row["label_skip"], row["label_like"], row["positive"]) for row in rows]


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        pytest.param([], (0, 0, 0, False), id="no interaction followed"),
        pytest.param([interaction("play")], (None, 0, 0, False), id="a play of unknown length"),
        pytest.param([interaction("play", THROUGH)], (1, 0, 0, True), id="played for 30 s"),
        pytest.param([interaction("play", THROUGH - 1)], (0, 0, 0, False), id="played for less"),
        pytest.param([interaction("skip", 5_000)], (0, 1, 0, False), id="skipped"),
        pytest.param([interaction("skip", THROUGH)], (0, 1, 0, False), id="skipped after 30 s"),
        pytest.param([interaction("play", THROUGH), interaction("like")], (1, 0, 1, True), id="played and liked"),
        pytest.param([interaction("like")], (0, 0, 1, True), id="liked only"),
        pytest.param([interaction("add")], (0, 0, 0, False), id="added only"),
        pytest.param(
            [interaction("play", 10), interaction("play", THROUGH)], (1, 0, 0, True), id="the longest play counts"
        ),
    ],
)
def test_an_impression_is_labelled_by_the_interactions_that_followed(outcomes, expected):
    assert play_skip_like_positive(log(impression(), *outcomes)) == [expected]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"request_id": "r2"}, id="another request"),
        pytest.param({"item_id": "i2"}, id="another item"),
        pytest.param({"user_id": "u2"}, id="another listener"),
        pytest.param({"request_id": None}, id="no request"),
    ],
)
def test_interactions_with_another_key_do_not_label_an_impression(other):
    assert play_skip_like_positive(log(impression(), interaction("play", THROUGH, **other))) == [(0, 0, 0, False)]


def test_impressions_without_a_request_have_no_interactions():
    # Two null request ids do not count as the same request.
    assert play_skip_like_positive(log(impression(request_id=None), interaction("like", request_id=None))) == [
        (0, 0, 0, False)
    ]


def test_every_impression_gives_one_example():
    events = log(
        impression(), impression(item_id="i2"), impression(request_id="r2"), interaction("like", request_id="r2")
    )
    assert play_skip_like_positive(events) == [(0, 0, 0, False), (0, 0, 0, False), (0, 0, 1, True)]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(interaction("play", THROUGH), (1, 0, 0, True), id="played for 30 s"),
        pytest.param(interaction("play", THROUGH - 1), (0, 0, 0, True), id="played for less"),
        pytest.param(interaction("play"), (None, 0, 0, True), id="a play of unknown length"),
        pytest.param(interaction("skip", 0), (0, 1, 0, True), id="skip"),
        pytest.param(interaction("like"), (None, 0, 1, True), id="like"),
        pytest.param(interaction("add"), (None, 0, 0, True), id="add"),
    ],
)
def test_without_impressions_the_action_is_the_label(row, expected):
    assert play_skip_like_positive(log(row)) == [expected]


def test_label_columns_of_the_log_replace_derived_labels():
    # From the actions both labels would be 0. The columns say: a like and an unknown skip, then the reverse.
    events = log(
        interaction("play", THROUGH),
        interaction("play", THROUGH),
        label_like=pa.array([1, None], pa.int8()),
        label_skip=pa.array([None, 1], pa.int8()),
    )
    assert play_skip_like_positive(events) == [(1, None, 1, True), (1, 1, None, True)]


def test_a_label_column_replaces_the_derived_label_of_an_impression():
    events = log(impression(), interaction("play", THROUGH), label_like=pa.array([1, None], pa.int8()))
    assert play_skip_like_positive(events) == [(1, 0, 1, True)]


def test_a_null_in_a_label_column_is_not_replaced_by_the_derived_label():
    events = log(impression(), interaction("like"), label_like=pa.array([None, None], pa.int8()))
    assert play_skip_like_positive(events) == [(0, 0, None, False)]


def complete_add_seconds(events: ibis.Table) -> list[tuple]:
    """Return `(complete, add, seconds listened)` of each example, in order of time."""
    rows = examples(events, ITEMS).order_by("event_id").to_pyarrow().to_pylist()
    seconds = [None if row["label_listen"] is None else round(math.expm1(row["label_listen"]), 2) for row in rows]
    return [(row["label_complete"], row["label_add"], s) for row, s in zip(rows, seconds, strict=True)]


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        pytest.param([], (0, 0, 0), id="no interaction followed"),
        pytest.param([interaction("play", 90_000)], (1, 0, 90), id="played for 90 % of the duration"),
        pytest.param([interaction("play", 89_999)], (0, 0, 90), id="played for less"),
        pytest.param([interaction("play")], (None, 0, None), id="a play of unknown length"),
        pytest.param([interaction("skip", 5_000)], (0, 0, 5), id="skipped after 5 s"),
        pytest.param([interaction("skip", 95_000)], (0, 0, 95), id="skipped after 95 % of the duration"),
        pytest.param(
            [interaction("play", 40_000), interaction("play", 60_000)], (0, 0, 100), id="two plays of 40 % and 60 %"
        ),
        pytest.param([interaction("play", 90_000), interaction("add")], (1, 1, 90), id="played and added"),
        pytest.param([interaction("add")], (0, 1, None), id="added only"),
    ],
)
def test_complete_add_and_seconds_of_an_impression(outcomes, expected):
    assert complete_add_seconds(log(impression(), *outcomes)) == [expected]


def test_complete_is_null_if_the_duration_is_unknown():
    # A 0 for the impression without interactions would be the only label of the item: the head would learn that
    # nobody completes it.
    play = interaction("play", 90_000, item_id="i2")
    assert complete_add_seconds(log(impression(item_id="i2"), impression(item_id="i2", request_id="r2"), play)) == [
        (None, 0, 90),
        (None, 0, 0),
    ]
    assert complete_add_seconds(log(play)) == [(None, 0, 90)]


def test_complete_is_null_without_a_catalogue():
    rows = examples(log(impression(), interaction("play", 90_000))).to_pyarrow().to_pylist()
    assert [row["label_complete"] for row in rows] == [None]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(interaction("play", 90_000), (1, 0, 90), id="played for 90 % of the duration"),
        pytest.param(interaction("play", 89_000), (0, 0, 89), id="played for less"),
        pytest.param(interaction("add"), (None, 1, None), id="add"),
    ],
)
def test_complete_add_and_seconds_of_an_interaction(row, expected):
    assert complete_add_seconds(log(row)) == [expected]


def test_a_duration_column_of_the_log_does_not_replace_that_of_the_catalogue():
    events = log(impression(), interaction("play", 90_000), duration_ms=pa.array([1, 1], pa.int64()))
    assert complete_add_seconds(events) == [(1, 0, 90)]


def test_a_listen_column_of_the_log_replaces_the_derived_seconds():
    events = log(impression(), interaction("play", 90_000), label_listen=pa.array([math.log1p(7), None], pa.float32()))
    assert complete_add_seconds(events) == [(1, 0, 7)]


@pytest.mark.parametrize("row", [impression(), interaction("play", 1)], ids=["impressions", "interactions"])
def test_the_columns_are_the_same_with_and_without_impressions(row):
    columns = examples(log(row)).columns
    kept = ("event_id", "user_id", "item_id", "ts", "session_id", "request_id", "surface", "position", "propensity")
    assert tuple(columns) == (*kept, *schema.LABEL_COLUMNS, "positive")


def test_no_example_comes_from_a_fallback_page():
    events = log(
        impression(policy="fallback-2"),
        interaction("play", THROUGH, policy="fallback-2"),
        impression(policy="layout@7", request_id="r2"),
        impression(request_id="r3"),
    )
    assert examples(events).order_by("ts").to_pyarrow()["request_id"].to_pylist() == ["r2", "r3"]
    assert examples(log(interaction("play", policy="fallback-3"), interaction("play"))).count().execute() == 1


def test_a_log_of_interactions_goes_on_with_collected_impressions():
    early, shown = interaction("play", THROUGH, request_id=None), impression(event_id="impression:r1:1")
    late = interaction("like", request_id=None)
    assert play_skip_like_positive(log(early, shown, interaction("skip"), late)) == [
        (1, 0, 0, True),
        (0, 1, 0, False),
    ]
    # A log that has impressions of its own learns from impressions alone, as before.
    assert len(play_skip_like_positive(log(early, impression(), shown | {"request_id": "r2"}))) == 2


def test_no_example_was_served_without_features():
    exposures = pa.array(
        [{"degraded": ["features"]}, {"degraded": ["sequence"]}, {"degraded": []}, None],
        pa.struct([("degraded", pa.list_(pa.string()))]),
    )
    shown = pa.Table.from_pylist([impression(event_id=f"e{n}") for n in range(4)], schema.EVENTS)
    served = examples(ibis.memtable(shown.append_column("exposure", exposures))).order_by("event_id").execute()
    assert served["event_id"].tolist() == ["e1", "e2", "e3"]


def test_the_propensity_of_an_example_is_that_of_the_item_given_the_layout():
    exposures = pa.array([{"layout_propensity": 0.25}, None], pa.struct([("layout_propensity", pa.float64())]))
    shown = log(impression(propensity=0.125), impression(propensity=0.3), exposure=exposures)
    assert examples(shown).order_by("event_id").execute()["propensity"].tolist() == [0.5, 0.3]

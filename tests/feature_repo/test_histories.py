"""A listener's last 50 interactions, oldest first: before a row, and at the end of a day."""

import pyarrow as pa
import pytest

from events import schema
from feature_repo.transformations import HISTORY, histories, sequences, user_history

# One interaction a minute: item i0 at 10:00, i1 at 10:01, …
LONG = "\n".join(f"u i{n} 0 10:{n:02d} {'skip' if n % 2 else 'play'}" for n in range(HISTORY + 3))


@pytest.fixture(scope="module")
def history_of(make_log, memory, rows):
    """`history_of(log, user, n_before)`: the row that `histories` returns."""

    def row(log: str, user: str, n_before: int) -> dict:
        table = memory(pa.table({"user_id": [user], "n_before": pa.array([n_before], pa.int32())}))
        (history,) = rows(histories(table, sequences(memory(make_log(log)))), "user_id")
        return history

    return row


@pytest.mark.parametrize(
    ("n_before", "first", "length"),
    [
        pytest.param(0, None, 0, id="no interaction yet"),
        pytest.param(1, "i0", 1, id="one interaction"),
        pytest.param(HISTORY, "i0", HISTORY, id="exactly full"),
        pytest.param(HISTORY + 1, "i1", HISTORY, id="the oldest falls out"),
        pytest.param(HISTORY + 3, "i3", HISTORY, id="the whole sequence"),
    ],
)
def test_a_history_is_the_last_50_interactions_before_the_row(history_of, n_before, first, length):
    items = history_of(LONG, "u", n_before)["history_items"]
    start = max(n_before - HISTORY, 0)
    assert items == [f"i{n}" for n in range(start, n_before)]
    assert (len(items), items[0] if items else None) == (length, first)


def test_actions_and_times_are_aligned_with_the_items(history_of, at):
    row = history_of("u b 0 10:00:01.999999 skip\nu a 0 09:00 like\nu c 0 11:00 add", "u", 3)
    assert row["history_items"] == ["a", "b", "c"]
    assert row["history_actions"] == ["like", "skip", "add"]
    # Times are whole seconds since 1970, rounded down.
    clocks = ("09:00:00", "10:00:01", "11:00:00")
    assert row["history_times"] == [int(at(0, clock).timestamp()) for clock in clocks]


def test_impressions_are_not_in_a_history(history_of):
    row = history_of("u a 0 09:00 impression\nu b 0 10:00 play", "u", 1)
    assert row["history_items"] == ["b"]


def test_events_of_the_same_instant_are_sorted_by_id(history_of):
    row = history_of("u b 0 10:00 play\nu a 0 10:00 play\nv c 0 10:00 play", "u", 2)
    assert row["history_items"] == ["b", "a"]


def test_a_history_is_in_order_of_arrival_and_a_snapshot_has_what_had_arrived(make_log, memory, rows, at, day_number):
    log = make_log("u late 0 10:00 play\nu b 0 11:00 play\nu c 1 12:00 play")
    received = pa.array([at(1, "09:00"), at(0, "11:00"), at(1, "12:00")], schema.RECEIVED.type)
    log = memory(log.append_column(schema.RECEIVED, received))
    days = rows(user_history(log, day_number(1)), "user_id", "event_timestamp")
    assert [row["history_items"] for row in days] == [["b"], ["b", "late", "c"]]
    # The time of an entry is when the listener did it.
    assert days[1]["history_times"][1] == int(at(0, "10:00").timestamp())


def test_a_listener_without_interactions_has_an_empty_history(history_of):
    row = history_of("u a 0 10:00 play", "nobody", 0)
    assert row["history_items"] == row["history_actions"] == row["history_times"] == []


@pytest.fixture(scope="module")
def snapshots(make_log, memory, rows, day_number):
    """`snapshots(log, last_day)`: the rows of `user_history` by listener and time."""
    return lambda log, last_day: rows(
        user_history(memory(make_log(log)), day_number(last_day)), "user_id", "event_timestamp"
    )


def test_a_snapshot_covers_the_interactions_up_to_the_end_of_its_day(snapshots, at):
    log = "u a 0 10:00 play\nu b 0 23:59:59.999999 skip\nu c 3 00:00 play\nv d 1 10:00 play"
    histories = [(row["user_id"], row["event_timestamp"], row["history_items"]) for row in snapshots(log, 10)]
    assert histories == [
        ("u", at(1, "00:00"), ["a", "b"]),
        ("u", at(4, "00:00"), ["a", "b", "c"]),  # days without an interaction have no row
        ("v", at(2, "00:00"), ["d"]),
    ]


def test_snapshots_end_with_the_last_complete_day(snapshots, at):
    kept = snapshots("u a 0 10:00 play\nu b 1 10:00 play", last_day=0)
    assert [(row["event_timestamp"], row["history_items"]) for row in kept] == [(at(1, "00:00"), ["a"])]


def test_a_snapshot_has_at_most_50_interactions(snapshots):
    (row,) = snapshots(LONG, 0)
    assert row["history_items"] == [f"i{n}" for n in range(3, HISTORY + 3)]

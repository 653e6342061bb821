"""Guesses from names and values: which table, which column."""

import pyarrow as pa
import pytest

from events.importers.own import guess
from segue.errors import InputError

DAYS = ["2026-01-05T10:00:00", "2026-01-06T11:00:00", "2026-01-07"]
LOG = {"userId": ["u0", "u1", "u0"], "trackid": ["i0", "i1", "i1"], "timestamp": DAYS, "Action": ["Play", "skip", "x"]}


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (LOG, {"user_id": "userId", "item_id": "trackid", "ts": "timestamp", "action": "Action"}),
        ({"Session_ID": ["s"] * 3, "session-no": ["t"] * 3}, {"session_id": "Session_ID"}),
        ({"USER ID": ["u"] * 3, "Item-Id": ["i"] * 3}, {"user_id": "USER ID", "item_id": "Item-Id"}),
        ({"id": [1, 2, 3], "user": [1, 1, 2]}, {"event_id": "id", "user_id": "user"}),
        ({"id": [1, 1, 3]}, {}),  # ids repeat
        ({"time": ["noon", "soon", "late"]}, {}),  # a name that fits, values that do not
        ({"timestamp": [1, 2, 3]}, {}),  # 1970
        ({"when": ["05/03/2026", "06/03/2026 10:00", "7.3.2026"]}, {"ts": "when"}),  # the import says what is undecided
        ({"Track URI": ["i0"] * 3, "User Name": ["u"] * 3}, {"user_id": "User Name", "item_id": "Track URI"}),
        ({"time": [*DAYS, "noon"]}, {"ts": "time"}),  # one broken value
        ({"lyssnat": DAYS}, {"ts": "lyssnat"}),  # the values alone
        ({"begin": DAYS, "end": DAYS}, {}),  # two columns of times
        ({"vad": ["LIKE", "play", None]}, {"action": "vad"}),
        ({"Rank": ["1", "2", "3"], "pos": ["a", "b", "c"]}, {"position": "Rank"}),
        ({"user_id": ["u"] * 3, "customer": ["c"] * 3}, {}),  # ours is there already
    ],
)
def test_columns_of_events(columns, expected):
    assert guess.guess_columns(pa.table(columns), "events", {}) == expected


@pytest.mark.parametrize("kind", [pa.null(), pa.string(), pa.list_(pa.string()), pa.timestamp("us"), pa.struct([])])
@pytest.mark.parametrize("name", ["Rank", "timestamp", "markets", "other"])
def test_a_column_without_values_or_of_any_type_is_no_guess(name, kind):
    assert guess.guess_columns(pa.table({name: pa.nulls(3, kind)}), "events", {}) == {}


@pytest.mark.parametrize(
    "values",
    [
        pa.array([["a"], ["b"]]),
        pa.array([{"a": 1}, None]),
        pa.array([2**60, 1], pa.timestamp("us")),
        pa.array([2**62, 1], pa.duration("s")),
        pa.array([b"\xff\0", b""]),
        pa.array(["", " "]),
    ],
    ids=lambda values: str(values.type),
)
@pytest.mark.parametrize("name", ["id", "user", "eventType", "seen", "Rank"])
@pytest.mark.parametrize("table", ["events", "items", "users"])
def test_a_guess_can_look_at_any_values(values, name, table):
    assert "action" not in guess.guess_columns(pa.table({name: values}), table, {})


def test_what_the_user_mapped_is_left_alone():
    guessed = guess.guess_columns(pa.table(LOG), "events", {"item_id": "userId"})
    assert guessed == {"ts": "timestamp", "action": "Action"}


@pytest.mark.parametrize(
    ("columns", "table"),
    [
        (LOG, "events"),
        ({"id": [1, 2], "name": ["a", "b"]}, "items"),
        ({"movieId": [1, 2], "title": ["a", "b"], "genres": ["x|y", "z"]}, "items"),
        ({"user_id": [1, 2], "country": ["SE", "NO"]}, "users"),
        ({"user": [1, 2], "ageGroup": ["18-24", "25-34"]}, "users"),
    ],
)
def test_the_table_of_a_file(columns, table):
    files = {"file": pa.table(columns), "log": pa.table(LOG)}
    assert guess.guess_table(files, {})["file"] == table


def test_a_file_that_looks_like_no_table_and_a_log_without_events_are_refused():
    with pytest.raises(InputError, match=r"x looks like none of events, items and users. It has: a, b"):
        guess.guess_table({"x": pa.table({"a": [1], "b": [2]})}, {})
    with pytest.raises(InputError, match="none of items looks so"):
        guess.guess_table({"items": pa.table({"item_id": [1], "title": ["a"]})}, {})

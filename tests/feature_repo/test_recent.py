"""Interactions strictly before each event, counted by hand."""

import pyarrow as pa
import pytest

from events import schema
from feature_repo.transformations import recent

LOG = """
    u a 0 10:00           play       s1
    u b 0 10:01           skip       s1
    u c 0 10:01           play       s1
    u c 0 10:02           impression s1
    u d 0 10:02:00.000001 play       s1
    u d 0 11:00           impression s2
    u d 0 12:00           play       -
    u e 0 12:01           skip       -
    v a 0 13:00           like       s3
    v a 0 13:01           add        s3
    u f 0 12:02           play       -
"""


@pytest.fixture(scope="module")
def counts(make_log, memory, rows):
    """`(n_before, session_plays, session_skips)` by event, for `LOG` in no particular order."""
    log = make_log(LOG)
    shuffled = log.take([4, 9, 1, 7, 10, 0, 3, 8, 2, 6, 5])
    return {row.pop("event_id"): tuple(row.values()) for row in rows(recent(memory(shuffled)), "event_id")}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param("e1", (0, 0, 0), id="nothing before the first event"),
        pytest.param("e2", (1, 1, 0), id="one play before"),
        pytest.param("e3", (1, 1, 0), id="events of the same instant do not count each other"),
        pytest.param("e4", (3, 2, 1), id="interactions before an impression count"),
        pytest.param("e5", (3, 2, 1), id="an impression is no interaction"),
        pytest.param("e6", (4, 0, 0), id="a new session starts at zero, the listener's count goes on"),
        pytest.param("e7", (4, 0, 0), id="no session id"),
        pytest.param("e8", (5, 0, 0), id="events without a session id are no session: a play before"),
        pytest.param("e11", (6, 0, 0), id="events without a session id are no session: a skip before"),
        pytest.param("e9", (0, 0, 0), id="another listener"),
        pytest.param("e10", (1, 1, 0), id="a like counts as a play"),
    ],
)
def test_recent(counts, event, expected):
    assert counts[event] == expected


def test_every_event_has_one_row(counts):
    assert len(counts) == 11


def test_an_interaction_counts_once_it_has_arrived(make_log, memory, rows, at):
    log = make_log("u a 0 10:00:00 play s1\nu b 0 10:00:20 impression s1\nu c 0 10:00:41 impression s1")
    received = pa.array([at(0, "10:00:40"), None, None], schema.RECEIVED.type)
    counted = rows(recent(memory(log.append_column(schema.RECEIVED, received))), "event_id")
    assert [(row["n_before"], row["session_plays"]) for row in counted] == [(0, 0), (0, 0), (1, 1)]

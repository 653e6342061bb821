"""Counts of the sessions that went on after the last snapshot."""

import pytest

from feature_repo.transformations import session_context

# Snapshots end with day 0.
LOG = """
    u a 0 10:00 play       ended
    u a 0 23:50 play       across
    u b 0 23:55 skip       across
    u c 1 00:05 like       across
    u c 1 00:06 impression across
    v a 1 10:00 skip       today
    v b 1 10:01 play       -
    w a 1 10:00 impression shown
"""


@pytest.fixture(scope="module")
def states(make_log, memory, rows, day_number):
    """The sessions' counts by id."""
    context = session_context(memory(make_log(LOG)), day_number(0))
    return {row.pop("session_id"): row for row in rows(context, "session_id")}


def test_sessions_that_ended_before_the_last_snapshot_are_left_out(states):
    assert set(states) == {"across", "today"}


def test_a_session_across_midnight_counts_as_a_whole(states, at):
    # The play is before midnight and the like after it. The stamp is that of the like, not of the later impression.
    assert states["across"] == {"event_timestamp": at(1, "00:05"), "session_plays": 2, "session_skips": 1}


def test_skips_and_plays_are_counted_separately(states, at):
    assert states["today"] == {"event_timestamp": at(1, "10:00"), "session_plays": 0, "session_skips": 1}

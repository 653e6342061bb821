"""The state of the sessions that were still going on after the last snapshot."""

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
    """The sessions' states by id."""
    found = rows(session_context(memory(make_log(LOG)), day_number(0)), "session_id")
    return {row.pop("session_id"): row for row in found}


def test_sessions_that_ended_before_the_last_snapshot_are_left_out(states):
    assert set(states) == {"across", "today"}


def test_a_session_across_midnight_counts_as_a_whole(states, at):
    # Play and like on either side of midnight; the stamp is the last interaction, not the impression.
    assert states["across"] == {"event_timestamp": at(1, "00:05"), "session_plays": 2, "session_skips": 1}


def test_skips_and_plays_are_counted_apart(states, at):
    assert states["today"] == {"event_timestamp": at(1, "10:00"), "session_plays": 0, "session_skips": 1}

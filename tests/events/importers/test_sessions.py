"""Sessions derived for logs that have none."""

import numpy as np

from events.importers.sessions import sessions

MINUTE = 60 * 1_000_000


def test_a_pause_of_30_minutes_begins_a_session_and_a_shorter_pause_does_not():
    user = np.array([0, 0, 0, 1, 0])
    ts = np.array([0, 30 * MINUTE - 1, 60 * MINUTE, 5 * MINUTE, 60 * MINUTE - 1])
    # The events of user 0 are at 0, just below 30, just below 60 and 60 minutes. Only the second
    # of the three pauses is 30 minutes long.
    assert sessions(user, ts).tolist() == [1, 1, 2, 1, 2]

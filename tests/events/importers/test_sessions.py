"""Sessions for logs that have none."""

import numpy as np

from events.importers.sessions import sessions

MINUTE = 60 * 1_000_000


def test_half_an_hour_of_silence_begins_a_session_and_a_microsecond_less_does_not():
    user = np.array([0, 0, 0, 1, 0])
    ts = np.array([0, 30 * MINUTE - 1, 60 * MINUTE, 5 * MINUTE, 60 * MINUTE - 1])
    # User 0 in order of time: 0, 30-, 60-, 60; the pauses are 30-, 30 and 0 minutes.
    assert sessions(user, ts).tolist() == [1, 1, 2, 1, 2]

"""Derive sessions for logs that have none: a long pause between two events begins a new session."""

import numpy as np

PAUSE_US = 30 * 60 * 1_000_000


def sessions(user: np.ndarray, ts: np.ndarray, pause: int = PAUSE_US) -> np.ndarray:
    """Number the sessions of each listener from 1, and return the session number of each event.

    Args:
        user: `[events]`, an integer code for each listener.
        ts: `[events]`, microseconds.
        pause: Shortest pause between two events, in microseconds, that begins a new session.

    Returns:
        `[events]` integers, in the order of the arguments.
    """
    order = np.lexsort((ts, user))
    ordered_user, ordered_ts = user[order], ts[order]
    first_of_user = np.diff(ordered_user, prepend=-1) != 0
    begins = first_of_user | (np.diff(ordered_ts, prepend=0) >= pause)
    total = begins.cumsum()
    number = np.empty(len(user), np.int64)
    number[order] = total - total[np.searchsorted(ordered_user, ordered_user)] + 1
    return number

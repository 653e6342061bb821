"""Sessions for logs that have none: a listener's events without a long pause between them."""

import numpy as np

PAUSE_US = 30 * 60 * 1_000_000


def sessions(user: np.ndarray, ts: np.ndarray, pause: int = PAUSE_US) -> np.ndarray:
    """The number of each event's session among its listener's, from 1.

    Args:
        user: `[events]`, listener codes.
        ts: `[events]`, microseconds.
        pause: microseconds without an event after which a new session begins.

    Returns:
        `[events]` integers, in the order given.
    """
    order = np.lexsort((ts, user))
    ordered_user, ordered_ts = user[order], ts[order]
    first = np.diff(ordered_user, prepend=-1) != 0
    begins = first | (np.diff(ordered_ts, prepend=0) >= pause)
    total = begins.cumsum()
    number = np.empty(len(user), np.int64)
    number[order] = total - total[np.searchsorted(ordered_user, ordered_user)] + 1
    return number

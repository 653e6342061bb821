"""The cohort of a listener in a roll-out: the candidate's, the control that is compared with it, or neither.

The candidate's cohort grows from the first bucket and the control's from the last, so both are nested from stage to
stage and a listener never changes sides. Both see their models from the same instant on, because the control is not
"everybody else": a cohort of another size, or one that began earlier, would differ from the candidate's by that alone.
"""

from typing import Literal

from experiments.assignment.buckets import BUCKETS, bucket
from experiments.assignment.layers import width

Cohort = Literal["candidate", "control"]


def cohort(salt: str, user_id: str, share: float) -> Cohort | None:
    """Return the cohort of a listener; None outside of both.

    Args:
        salt: The roll-out's own, so that no listener is always among the first.
        user_id: The listener.
        share: The candidate's share of the listeners, at most 0.5.
    """
    number, buckets = bucket(salt, user_id), width(share)
    if number < buckets:
        return "candidate"
    return "control" if number >= BUCKETS - buckets else None

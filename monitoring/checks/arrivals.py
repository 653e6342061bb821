"""Checks of what arrives: events and new items.

They have no listeners to draw again. The limit of both is `TIMES` the largest value of the reference.
"""

from datetime import datetime

import numpy as np
import pyarrow as pa

from monitoring.checks.limits import LEAST_EVENTS
from monitoring.checks.measures import NEW_DAYS
from monitoring.checks.rules import RULES
from monitoring.report import Check
from monitoring.windows import DAY, HOUR, MICROSECOND, Windows, microseconds
from segue.verdict import Verdict

TIMES = 2


def freshness(events: pa.Table, windows: Windows, at: datetime) -> Check:
    """Return the check that the newest event is not older than the pauses between events of the reference.

    Args:
        events: Events (`events.schema.EVENTS`).
        windows: The windows.
        at: The instant of the check, UTC.
    """
    times = np.sort(events["ts"].cast(pa.int64()).to_numpy())
    start, end = map(microseconds, windows.reference)
    pauses = np.diff(times[(times >= start) & (times < end)])
    newest = int(times[-1]) if len(times) else start
    hour = HOUR // MICROSECOND
    limit = TIMES * max(1.0, float(pauses.max(initial=0)) / hour)
    age = (microseconds(at) - newest) / hour
    reason = f"The newest event is {age:,.1f} hours old; the limit is {limit:,.1f}."
    return made("freshness", age <= limit, reason, age, limit)


def growth(items: pa.Table, windows: Windows) -> Check:
    """Return the check that the catalogue does not grow faster than in the reference.

    The weeks of the reference end before the current one begins, so what is new now is part of none of them.

    Args:
        items: The catalogue (`events.schema.ITEMS`), by its release dates.
        windows: The windows.
    """
    released = items["release_date"].drop_null().to_numpy().astype("datetime64[us]")
    ends = [np.datetime64((windows.end - n * DAY).replace(tzinfo=None), "us") for n in range(windows.days)]
    span = np.timedelta64(NEW_DAYS, "D")
    weeks = [int(((released >= end - span) & (released < end)).sum()) for end in ends]  # the current one first
    limit = max(TIMES * max(weeks[NEW_DAYS:]), LEAST_EVENTS)
    reason = f"{weeks[0]:,} items are new within {NEW_DAYS} days; the limit is {limit:,}."
    return made("catalogue_growth", weeks[0] <= limit, reason, weeks[0], limit)


def made(name: str, passed: bool, reason: str, value: float, limit: float) -> Check:
    """Return a check of one value."""
    rule = RULES[name]
    return Check(name, rule.kind, rule.response, Verdict(passed, reason, {"now": value}, {"now": limit}), value, limit)

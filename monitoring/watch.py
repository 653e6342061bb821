"""Check the newest window: the report of what changed, how much, and the cause it points to."""

from collections.abc import Iterable
from datetime import datetime

import pyarrow as pa

from monitoring.checks.arrivals import freshness, growth
from monitoring.checks.measures import Levels
from monitoring.checks.rules import RULES
from monitoring.checks.sums import daily
from monitoring.checks.verdicts import cause_of, verdicts
from monitoring.report import Check, Report
from monitoring.windows import LEAST_DAYS, Windows, rows


def checked(events: pa.Table, items: pa.Table, windows: Windows, at: datetime, seed: int = 0) -> Report:
    """Return the report of the current window.

    Args:
        events: Events (`events.schema.EVENTS`) from the start of the windows until `at`; with `received` where the
            journal collected them.
        items: The catalogue (`events.schema.ITEMS`).
        windows: The windows.
        at: The instant of the check, UTC.
        seed: Seed of the bootstrap.
    """
    if not windows.enough:
        return report(windows, (), usual=f"Checks need {LEAST_DAYS} whole days of events. There are not as many yet.")
    frame = rows(events, items, windows)
    levels = Levels.of(frame[frame["day"] < windows.days - 1], items)
    sums = daily(frame, levels, windows.days, seed)
    return report(windows, [freshness(events, windows, at), *verdicts(sums), growth(items, windows)])


def report(windows: Windows, checks: Iterable[Check], usual: str = "All checks are as usual.") -> Report:
    """Return the report of a window's checks, in the order of `RULES`, and the cause that they point to.

    Args:
        windows: The windows.
        checks: The checks.
        usual: The reason if none failed.
    """
    ordered = tuple(sorted(checks, key=lambda check: list(RULES).index(check.name)))
    cause, reason = cause_of(ordered) or (None, usual)
    return Report(windows.reference, windows.current, ordered, cause, reason)

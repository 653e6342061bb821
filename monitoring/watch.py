"""Check the newest window: the report of what changed, how much, and the cause it points to."""

from collections.abc import Iterable
from datetime import datetime

import pyarrow as pa

from monitoring.checks.arrivals import freshness, growth
from monitoring.checks.measures import Genres
from monitoring.checks.rules import RULES
from monitoring.checks.sums import daily
from monitoring.checks.verdicts import cause_of, verdicts
from monitoring.report import Check, Report
from monitoring.windows import Windows, rows


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
    frame = rows(events, items, windows)
    sums = daily(frame, Genres.of(items), windows.days, seed)
    return report(windows, (freshness(events, windows, at), *verdicts(sums), growth(items, windows)))


def report(windows: Windows, checks: Iterable[Check]) -> Report:
    """Return the report of a window's checks, in the order of `RULES`, and the cause that they point to."""
    ordered = tuple(sorted(checks, key=lambda check: list(RULES).index(check.name)))
    return Report(windows.reference, windows.current, ordered, *cause_of(ordered))

"""Check the newest window: the report of what changed, how much, and the cause it points to."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import pandas as pd
import pyarrow as pa

from monitoring.aligning import PREDICTION_PREFIX
from monitoring.checks.arrivals import freshness, growth
from monitoring.checks.measures import Levels
from monitoring.checks.rules import RULES
from monitoring.checks.sums import daily
from monitoring.checks.verdicts import cause_of, verdicts
from monitoring.report import Check, Report
from monitoring.windows import BASE_DAYS, LEAST_DAYS, Windows

SHOWN = ("action", "surface", "content_type", "duration_ms", "age", "ms_played", "delay", "prediction")


def checked(
    frame: pd.DataFrame,
    events: pa.Table,
    items: pa.Table,
    windows: Windows,
    at: datetime,
    unrelated: Sequence[Check] = (),
    seed: int = 0,
) -> Report:
    """Return the report of the current window.

    Args:
        frame: The rows of the windows (`monitoring.windows.rows`).
        events: Events (`events.schema.EVENTS`) from the start of the windows until `at`.
        items: The catalogue (`events.schema.ITEMS`).
        windows: The windows.
        at: The instant of the check, UTC.
        unrelated: Further checks of the current window, which need no reference.
        seed: Seed of the bootstrap.
    """
    if not windows.enough:
        return report(
            windows, unrelated, usual=f"Checks need {LEAST_DAYS} whole days of events. There are not as many yet."
        )
    levels = Levels.of(frame[frame["day"] < windows.days - 1], items)
    sums = daily(frame, levels, windows.days, seed)
    return report(windows, [freshness(events, windows, at), *unrelated, *verdicts(sums), growth(items, windows)])


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


def compared(frame: pd.DataFrame, windows: Windows) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the columns of the base and of the current day that Evidently's report shows, a row for each event.

    Args:
        frame: The rows of the windows (`monitoring.windows.rows`).
        windows: The windows.
    """
    columns = [name for name in SHOWN if name in frame]
    shown = frame[columns].astype({name: object for name in columns if frame[name].dtype == "category"})
    shown = shown.rename(columns={"prediction": f"{PREDICTION_PREFIX}play"})
    today = windows.days - 1
    base = (frame["day"] >= today - BASE_DAYS) & (frame["day"] < today)
    return shown[base], shown[frame["day"] == today]

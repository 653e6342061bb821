"""Split rows into the two windows of a drift comparison, before and after a boundary in time."""

from datetime import datetime

import pandas as pd

from segue.errors import InputError


def split_windows(frame: pd.DataFrame, ts_column: str, boundary: datetime) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split rows into a reference window and a current window by time.

    Args:
        frame: rows with a time column.
        ts_column: the name of the time column, which has a time zone and no nulls.
        boundary: the first instant of the current window, timezone-aware.

    Returns:
        The reference window (rows before the boundary) and the current window (rows from the boundary on),
        each in the frame's order.

    Raises:
        InputError: the column is absent, has no time zone or has nulls; the boundary has no time zone; or a
            window would be empty.
    """
    if boundary.tzinfo is None:
        raise InputError(
            f"A window's boundary must be timezone-aware. Received {boundary.isoformat()}.",
            "Give it with its offset, for example 2026-01-31T00:00:00+00:00.",
        )
    if ts_column not in frame:
        raise InputError(
            f"Windows are split by a time column. {ts_column!r} is not among {sorted(map(str, frame.columns))}.",
            "Give the name of the time column.",
        )
    times = frame[ts_column]
    if not isinstance(times.dtype, pd.DatetimeTZDtype) or times.isna().any():
        raise InputError(
            "A time column must be timezone-aware and have no nulls. "
            f"{ts_column!r} is {times.dtype} with {int(times.isna().sum())} nulls.",
            "Convert it with pandas.to_datetime(…, utc=True) and drop the rows without a time.",
        )
    is_reference = times < boundary
    reference, current = frame[is_reference], frame[~is_reference]
    for name, window in (("reference", reference), ("current", current)):
        if window.empty:
            span = f"{times.min()} to {times.max()}" if len(times) else "no time at all"
            raise InputError(
                f"Both windows need rows. The {name} window is empty: the rows span {span}, "
                f"the boundary is {boundary.isoformat()}.",
                "Move the boundary inside that span.",
            )
    return reference, current

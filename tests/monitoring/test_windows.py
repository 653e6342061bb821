"""Splitting rows into a reference window and a current window."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from monitoring.windows import split_windows
from segue.errors import InputError

BOUNDARY = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def frame() -> pd.DataFrame:
    """Four rows around midnight, out of order."""
    times = ["2026-01-02T00:00:00Z", "2026-01-01T23:59:59Z", "2026-01-03T12:00:00Z", "2026-01-01T00:00:00Z"]
    return pd.DataFrame({"ts": pd.to_datetime(times), "row": [0, 1, 2, 3]})


def test_the_boundary_itself_belongs_to_the_current_window(frame):
    reference, current = split_windows(frame, "ts", BOUNDARY)
    assert list(reference["row"]) == [1, 3]
    assert list(current["row"]) == [0, 2]


@pytest.mark.parametrize(
    ("boundary", "empty"),
    [(datetime(2026, 1, 1, tzinfo=UTC), "reference"), (datetime(2026, 1, 4, tzinfo=UTC), "current")],
)
def test_an_empty_window_is_an_error_that_shows_the_span(frame, boundary, empty):
    with pytest.raises(InputError, match=f"{empty} window is empty: the rows span 2026-01-01 .* to 2026-01-03"):
        split_windows(frame, "ts", boundary)


def test_no_rows_at_all_is_an_error(frame):
    with pytest.raises(InputError, match="no time at all"):
        split_windows(frame.head(0), "ts", BOUNDARY)


def test_a_boundary_without_a_zone_is_an_error(frame):
    with pytest.raises(InputError, match="timezone-aware"):
        split_windows(frame, "ts", datetime(2026, 1, 2))


def test_an_absent_time_column_is_an_error_that_lists_the_columns(frame):
    with pytest.raises(InputError, match=r"'when' is not among \['row', 'ts'\]"):
        split_windows(frame, "when", BOUNDARY)


def test_a_null_time_is_an_error(frame):
    frame.loc[1, "ts"] = pd.NaT
    with pytest.raises(InputError, match="1 nulls"):
        split_windows(frame, "ts", BOUNDARY)

"""Read dates. A catalogue often has a year alone, which is no number of days or seconds."""

from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from events import times
from events.values.reading import Reading

FIRST_YEAR, LAST_YEAR = 1000, 2999
FIRST_UNIX = 10**8  # smaller numbers of seconds (until March 1973) are more likely to be something else

KIND = "a date (YYYY-MM-DD, YYYYMMDD, YYYY-MM or a year, or a unix time)"


def read(column: pa.ChunkedArray) -> Reading:
    """Return how a column of dates is read; the order of day and month comes from the whole column."""
    day_first = times.order_of_day(column)
    explain = partial(times.explain, day_first=day_first, kind=KIND)
    return Reading(partial(parse, day_first=day_first), explain, times.order_note(day_first))


def parse(column: pa.ChunkedArray, day_first: bool | None = None) -> pa.ChunkedArray:
    """Convert a column of dates to `date32`. A year is its 1 January, a month its first day.

    Args:
        column: The dates, as dates, times, numbers or text.
        day_first: Whether dates such as 05/01/2026 begin with the day; None refuses them.

    Raises:
        pyarrow.ArrowInvalid: A value cannot be read as a date.
        pyarrow.ArrowNotImplementedError: The type of the column cannot hold dates, for instance a list.
    """
    if pa.types.is_decimal(column.type) or pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return from_numbers(column.cast(pa.float64()))
    if pa.types.is_string(column.type):
        return from_text(pc.utf8_trim_whitespace(column), day_first)
    return column.cast(pa.date32(), safe=False)


def from_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert years (1975), dates as digits (19750321) and unix times to dates.

    Raises:
        pyarrow.ArrowInvalid: A number is none of them.
    """
    unix = pc.greater_equal(pc.abs(column), FIRST_UNIX)
    null = pa.scalar(None, pa.float64())
    written = pc.if_else(unix, null, column).cast(pa.int64())  # refuses fractions
    year = pc.and_(pc.greater_equal(written, FIRST_YEAR), pc.less_equal(written, LAST_YEAR))
    digits = pc.if_else(year, pc.add(pc.multiply(written, 10_000), 101), written).cast(pa.string())
    dashed = pc.replace_substring_regex(digits, r"^([12]\d{3})(\d{2})(\d{2})$", r"\1-\2-\3")
    moments = times.from_unix(pc.if_else(unix, column, null))
    return pc.coalesce(dashed.cast(pa.date32()), moments.cast(pa.date32(), safe=False))


def from_text(text: pa.ChunkedArray, day_first: bool | None) -> pa.ChunkedArray:
    """Convert dates and times in text to dates."""
    digits = pc.match_substring_regex(text, times.DIGITS)
    null = pa.scalar(None, pa.string())
    others = pc.replace_substring_regex(pc.if_else(digits, null, text), r"^(\d{4}-\d{2})$", r"\1-01")
    return pc.coalesce(
        from_numbers(pc.if_else(digits, text, null).cast(pa.float64())),
        times.from_text(others, day_first).cast(pa.date32(), safe=False),
    )

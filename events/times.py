"""Convert the times found in files to microseconds in UTC."""

from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from events import schema
from events.bulk.batches import is_true_of_all
from events.values import written_times
from events.values.reading import Reading, Refusal

# The magnitude of each unix time says its unit. Smaller numbers are seconds (until the year 5138); this number
# and larger ones are milliseconds (from 1973 on).
FIRST_MILLISECOND = 10**11
BEYOND = 10**14  # milliseconds of the year 5138; a number this large is not a time
SPREADSHEET_DAYS = (20_000, 80_000)  # days since 1900 of the years 1954 to 2119, which are no seconds of a log

KIND = "a time (ISO 8601, or unix seconds or milliseconds)"
DIGITS = r"^-?\d+(\.\d+)?$"
ISO = r"^\d{4}-\d{2}-\d{2}([ T][\d:.]+(Z|[+-]\d{2}(:?\d{2})?)?)?$"
ZONE = r"[ T].*(Z|[+-]\d{2}(:?\d{2})?)$"


def read(column: pa.ChunkedArray) -> Reading:
    """Return how a column of times is read: as `parse` does, with the order of day and month from the whole column."""
    day_first = order_of_day(column)
    return Reading(partial(parse, day_first=day_first), partial(explain, day_first=day_first), order_note(day_first))


def order_of_day(column: pa.ChunkedArray) -> bool | None:
    """Return whether dates such as 05/01/2026 begin with the day; None if the column does not decide it."""
    if not pa.types.is_string(column.type) or is_true_of_all(lambda part: plain_iso(part) is not None, column):
        return None
    return written_times.day_first(column)


def parse(column: pa.ChunkedArray, day_first: bool | None = None) -> pa.ChunkedArray:
    """Convert a column of times to `schema.TIMESTAMP`.

    Values may be timestamps, dates, text, or unix seconds or milliseconds. A time without a zone is UTC.
    Digits beyond the microsecond are cut off, except in numbers, which are rounded.

    Args:
        column: The times.
        day_first: Whether dates such as 05/01/2026 begin with the day; None refuses them.

    Raises:
        pyarrow.ArrowInvalid: A value cannot be read as a time, for instance `yesterday`.
        pyarrow.ArrowNotImplementedError: The type of the column cannot hold times, for instance a list.
    """
    data_type = column.type
    if pa.types.is_timestamp(data_type):
        zoned = column if data_type.tz else pc.assume_timezone(column, "UTC")
        return zoned.cast(schema.TIMESTAMP, safe=data_type.unit != "ns")  # seconds must not overflow
    if pa.types.is_decimal(data_type):
        column = column.cast(pa.float64() if data_type.scale else pa.int64())
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return from_unix(column)
    if pa.types.is_string(data_type) or pa.types.is_large_string(data_type):
        return from_text(column.cast(pa.string()), day_first)
    return column.cast(pa.timestamp("us")).cast(schema.TIMESTAMP)


def from_unix(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert unix seconds (with or without fractions) or milliseconds to `schema.TIMESTAMP`.

    Raises:
        pyarrow.ArrowInvalid: A number is too large to be a time, or is a spreadsheet's.
    """
    magnitude = pc.abs(column)
    if (pc.max(magnitude).as_py() or 0) >= BEYOND:
        raise pa.ArrowInvalid("neither unix seconds nor milliseconds")
    if pc.any(spreadsheet_days(column)).as_py():
        raise pa.ArrowInvalid("a spreadsheet's number of days")
    factor = pc.if_else(pc.less(magnitude, FIRST_MILLISECOND), 1_000_000, 1_000)
    scaled = pc.multiply(column, factor.cast(column.type if pa.types.is_floating(column.type) else pa.int64()))
    whole = pc.round(scaled) if pa.types.is_floating(column.type) else scaled
    return whole.cast(pa.int64()).cast(schema.TIMESTAMP)


def spreadsheet_days(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a mask that is true for numbers by which a spreadsheet stores dates: days since 1900."""
    first, last = SPREADSHEET_DAYS
    return pc.and_(pc.greater_equal(column, first), pc.less(column, last))


def order_note(day_first: bool | None) -> str:
    """Return what the column decided about the order of day and month."""
    if day_first is None:
        return ""
    return f"dates begin with the {'day' if day_first else 'month'}: a number above 12 shows it"


def plain_iso(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array | None:
    """Convert text to `schema.TIMESTAMP` if all of it is ISO 8601 in one form, else return None.

    This is the form of most logs, and many times faster than to tell the forms apart.
    """
    try:
        return pc.assume_timezone(column.cast(pa.timestamp("us")), "UTC")
    except pa.ArrowInvalid:
        pass
    try:
        return column.cast(schema.TIMESTAMP)
    except pa.ArrowInvalid:
        return None


def from_text(column: pa.ChunkedArray, day_first: bool | None) -> pa.ChunkedArray:
    """Convert text to `schema.TIMESTAMP`: ISO 8601, unix times as digits, or the forms of `written_times`."""
    if (moments := plain_iso(column)) is not None:
        return moments
    text = pc.replace_substring_regex(pc.utf8_trim_whitespace(column), r"(\.\d{6})\d+", r"\1")
    digits = pc.match_substring_regex(text, DIGITS)
    iso = pc.match_substring_regex(text, ISO)
    zoned = pc.and_(iso, pc.match_substring_regex(text, ZONE))
    null = pa.scalar(None, pa.string())
    unix = pc.if_else(digits, text, null)
    parsed = [
        from_unix(unix.cast(pa.float64() if pc.any(pc.match_substring(unix, ".")).as_py() else pa.int64())),
        pc.if_else(zoned, text, null).cast(schema.TIMESTAMP),
        pc.assume_timezone(pc.if_else(pc.and_not(iso, zoned), text, null).cast(pa.timestamp("us")), "UTC"),
    ]
    written = pc.invert(pc.or_(digits, iso))
    if pc.any(written).as_py():
        parsed.append(written_times.parse(pc.if_else(written, text, null), day_first))
    return pc.coalesce(*parsed)


def explain(value: object, day_first: bool | None, kind: str = KIND) -> Refusal:
    """Say why a value is no time, or no date of another `kind`, in a column with this order of day and month."""
    text = str(value).strip()
    if pc.match_substring_regex(text, DIGITS).as_py() and spreadsheet_days(pa.scalar(float(text))).as_py():
        return Refusal(
            f", which is not {kind}: it looks like a spreadsheet's (Excel's) serial number, the days since 1900",
            "Format the column as a date in the spreadsheet, such as 2026-01-31 10:00:00, and export it again.",
        )
    if day_first is None and pc.match_substring_regex(text, written_times.DAY_AND_MONTH).as_py():
        return Refusal(
            f", which is not {kind}: day and month may be in either order, and the column does not decide which",
            "Write dates as YYYY-MM-DD. One order is taken if a day above 12 in the column shows it.",
        )
    zone = written_times.split_zone(pa.array([text]))[1][0].as_py()
    if zone and zone not in written_times.HOURS_EAST and not zone.startswith(("+", "-")):
        return Refusal(
            f", which is not {kind}: the zone {zone} is not known, is the name of several zones, or skips that time",
            "Write the zone as an offset, such as +01:00, or by its name, such as Europe/Stockholm.",
        )
    return Refusal(f", which is not {kind}")

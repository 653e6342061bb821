"""Convert the times found in files to microseconds in UTC."""

import pyarrow as pa
import pyarrow.compute as pc

from events import schema

# The magnitude of each unix time says its unit. Smaller numbers are seconds (until the year 5138); this number
# and larger ones are milliseconds (from 1973 on).
FIRST_MILLISECOND = 10**11
BEYOND = 10**14  # milliseconds of the year 5138; a number this large is not a time

ZONE = r"[ T].*(Z|[+-]\d{2}(:?\d{2})?)$"


def parse(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert a column of times to `schema.TIMESTAMP`.

    Values may be timestamps, dates, ISO 8601 strings, or unix seconds or milliseconds. A time without a zone is UTC.
    Digits beyond the microsecond are cut off, except in numbers, which are rounded.

    Raises:
        pyarrow.ArrowInvalid: A value cannot be read as a time, for instance `yesterday`.
        pyarrow.ArrowNotImplementedError: The type of the column cannot hold times, for instance a list.
    """
    data_type = column.type
    if pa.types.is_timestamp(data_type):
        zoned = column if data_type.tz else pc.assume_timezone(column, "UTC")
        return zoned.cast(schema.TIMESTAMP, safe=False)
    if pa.types.is_integer(data_type) or pa.types.is_floating(data_type):
        return from_unix(column)
    if pa.types.is_string(data_type) or pa.types.is_large_string(data_type):
        return from_text(column.cast(pa.string()))
    return column.cast(pa.timestamp("us")).cast(schema.TIMESTAMP)


def from_unix(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert unix seconds (with or without fractions) or milliseconds to `schema.TIMESTAMP`.

    Raises:
        pyarrow.ArrowInvalid: A number is too large to be a time.
    """
    magnitude = pc.abs(column)
    if (pc.max(magnitude).as_py() or 0) >= BEYOND:
        raise pa.ArrowInvalid("neither unix seconds nor milliseconds")
    factor = pc.if_else(pc.less(magnitude, FIRST_MILLISECOND), 1_000_000, 1_000)
    scaled = pc.multiply(column, factor.cast(column.type if pa.types.is_floating(column.type) else pa.int64()))
    whole = pc.round(scaled) if pa.types.is_floating(column.type) else scaled
    return whole.cast(pa.int64()).cast(schema.TIMESTAMP)


def from_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert ISO 8601 strings, with or without a zone, or unix times as digits to `schema.TIMESTAMP`."""
    text = pc.replace_substring_regex(pc.utf8_trim_whitespace(column), r"(\.\d{6})\d+", r"\1")
    digits = pc.match_substring_regex(text, r"^-?\d+(\.\d+)?$")
    zoned = pc.match_substring_regex(text, ZONE)
    null = pa.scalar(None, pa.string())
    unix = pc.if_else(digits, text, null)
    local = pc.if_else(pc.or_(digits, zoned), null, text)
    parsed = [
        from_unix(unix.cast(pa.float64() if pc.any(pc.match_substring(unix, ".")).as_py() else pa.int64())),
        pc.if_else(zoned, text, null).cast(schema.TIMESTAMP),
        pc.assume_timezone(local.cast(pa.timestamp("us")), "UTC"),
    ]
    return pc.coalesce(*parsed)

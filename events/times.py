"""Times as they come in files, to microseconds in UTC."""

import pyarrow as pa
import pyarrow.compute as pc

from events import schema

# Unix times are told apart by magnitude, value by value: below this they are seconds (until the
# year 5138), from it on milliseconds (since 1973).
FIRST_MILLISECOND = 10**11
BEYOND = 10**14  # milliseconds of the year 5138: nothing that this large is a time

ZONE = r"[ T].*(Z|[+-]\d{2}(:?\d{2})?)$"


def parse(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Timestamps, dates, ISO 8601 strings, or unix seconds or milliseconds, to `schema.TIMESTAMP`.

    A time without a zone is UTC. Digits beyond the microsecond are cut off.

    Raises:
        pyarrow.ArrowInvalid: a value is none of these.
        pyarrow.ArrowNotImplementedError: the column's type is none of these.
    """
    kind = column.type
    if pa.types.is_timestamp(kind):
        zoned = column if kind.tz else pc.assume_timezone(column, "UTC")
        return zoned.cast(schema.TIMESTAMP, safe=False)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return from_unix(column)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return from_text(column.cast(pa.string()))
    return column.cast(pa.timestamp("us")).cast(schema.TIMESTAMP)


def from_unix(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Unix seconds (fractions allowed) or milliseconds, by magnitude, to `schema.TIMESTAMP`."""
    size = pc.abs(column)
    if (pc.max(size).as_py() or 0) >= BEYOND:
        raise pa.ArrowInvalid("neither unix seconds nor milliseconds")
    factor = pc.if_else(pc.less(size, FIRST_MILLISECOND), 1_000_000, 1_000)
    scaled = pc.multiply(column, factor.cast(column.type if pa.types.is_floating(column.type) else pa.int64()))
    whole = pc.round(scaled) if pa.types.is_floating(column.type) else scaled
    return whole.cast(pa.int64()).cast(schema.TIMESTAMP)


def from_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """ISO 8601 strings with or without a zone, or unix times as digits, to `schema.TIMESTAMP`."""
    text = pc.replace_substring_regex(pc.utf8_trim_whitespace(column), r"(\.\d{6})\d+", r"\1")
    digits = pc.match_substring_regex(text, r"^-?\d+(\.\d+)?$")
    zoned = pc.match_substring_regex(text, ZONE)
    nothing = pa.scalar(None, pa.string())
    unix = pc.if_else(digits, text, nothing)
    local = pc.if_else(pc.or_(digits, zoned), nothing, text)
    parts = [
        from_unix(unix.cast(pa.float64() if pc.any(pc.match_substring(unix, ".")).as_py() else pa.int64())),
        pc.if_else(zoned, text, nothing).cast(schema.TIMESTAMP),
        pc.assume_timezone(local.cast(pa.timestamp("us")), "UTC"),
    ]
    return pc.coalesce(*parts)

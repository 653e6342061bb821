"""Read the times that spreadsheets, databases and scripts write: `Jan 5, 2026 10:00 AM`, `13/01/2026`, `… CET`."""

from datetime import timedelta
from itertools import product

import pyarrow as pa
import pyarrow.compute as pc

from events import schema

# Abbreviations that name one zone. CST, IST and BST name several, so they are refused.
HOURS_EAST = {
    "UTC": 0, "GMT": 0, "UT": 0, "Z": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "MSK": 3,
    "JST": 9, "EST": -5, "EDT": -4, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
}  # fmt: skip
EASTMOST = 14  # hours; no zone has a larger offset
ZONE = r"^(?P<local>.*\d.*?)\s*(?P<zone>Z|\b[A-Z]{1,5}|\b[A-Za-z_]+(?:/[A-Za-z0-9_+-]+)+|[+-]\d{2}:?\d{2})$"
DAY_AND_MONTH = r"^\s*(?P<first>\d{1,2})[/.-](?P<second>\d{1,2})[/.-]\d{4}\b"  # or month and day

JAVA_ZONE = r"\[[A-Za-z0-9_/+-]+\]$"  # stands behind an offset: +01:00[Europe/Stockholm]

TIDY = (  # spellings of one form become the form that `FORMATS` has
    (r"(?i)^(mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+", ""),
    (r"(?i)\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b\.?", r"\1"),
    (r",|\bat\b", " "),
    (r"(\d)T(\d)", r"\1 \2"),
    (r"(?i)(\d)\s*([ap])\.?m\.?$", r"\1 \2m"),
    (r"[\s\x{a0}\x{202f}]+", " "),
)
DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%b %d %Y", "%d %b %Y", "%d-%b-%Y")
DAY_FIRST, MONTH_FIRST = ("%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y"), ("%m/%d/%Y", "%m-%d-%Y", "%m.%d.%Y")
CLOCKS = ("", " %H:%M:%S", " %H:%M", " %H:%M:%S.%f", " %I:%M:%S %p", " %I:%M %p")
YEAR = r"(^|\D)\d{4}(\D|$)"  # a year of two digits is refused
C_TIME = "%b %d %H:%M:%S %Y"


def day_first(text: pa.ChunkedArray) -> bool | None:
    """Return whether dates such as 05/01/2026 begin with the day, by a number above 12 in the column.

    None means that nothing decides it: no number is above 12, or numbers are in both places.
    """
    parts = pc.extract_regex(text, DAY_AND_MONTH)
    first, second = ((pc.max(pc.struct_field(parts, [place]).cast(pa.int32())).as_py() or 0) > 12 for place in (0, 1))
    return first if first != second else None


def parse(text: pa.ChunkedArray, day_comes_first: bool | None) -> pa.ChunkedArray:
    """Convert written times to `schema.TIMESTAMP`. A time without a zone is UTC.

    Where a clock is set back, a local time that occurs twice is the earlier of the two.

    Args:
        text: The times, or null.
        day_comes_first: What `day_first` says of the whole column.

    Raises:
        pyarrow.ArrowInvalid: A value has none of the forms, or its zone is not known.
    """
    local, zone = split_zone(pc.replace_substring_regex(text, JAVA_ZONE, ""))
    for pattern, replacement in TIDY:
        local = pc.replace_substring_regex(local, pattern, replacement)
    local = pc.if_else(pc.match_substring_regex(local, YEAR), local, pa.scalar(None, pa.string()))
    if local.null_count == text.null_count:
        moments = strptime(pc.utf8_trim_whitespace(local), day_comes_first)
    if local.null_count > text.null_count or moments.null_count > text.null_count:
        raise pa.ArrowInvalid("not a time in a known form")
    result = pa.chunked_array([pa.nulls(len(text), schema.TIMESTAMP)])
    for name in pc.unique(zone).to_pylist():
        of_zone = pc.equal(zone, name) if name else pc.is_null(zone)
        result = pc.coalesce(result, in_zone(pc.if_else(of_zone, moments, pa.scalar(None, moments.type)), name))
    return result


def split_zone(text: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Split each text into the local time and the zone behind it, null if it has none; AM and PM are no zones."""
    parts = pc.extract_regex(text, ZONE)
    zone = pc.struct_field(parts, [1])
    named = pc.fill_null(pc.invert(pc.is_in(zone, pa.array(["AM", "PM"]))), False)
    named = pc.and_(named, pc.is_valid(zone))
    null = pa.scalar(None, pa.string())
    return pc.if_else(named, pc.struct_field(parts, [0]), text), pc.if_else(named, zone, null)


def in_zone(local: pa.ChunkedArray, zone: str | None) -> pa.ChunkedArray:
    """Convert local times of a zone to `schema.TIMESTAMP`.

    Raises:
        pyarrow.ArrowInvalid: The zone is not known, or it skips a time because a clock is set forward.
    """
    if zone is None or zone in HOURS_EAST:
        offset = timedelta(hours=HOURS_EAST[zone or "UTC"])
    elif zone[0] in "+-" and int(zone[1:3]) <= EASTMOST:
        sign = -1 if zone[0] == "-" else 1
        offset = sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    elif "/" in zone:
        return pc.assume_timezone(local, zone, ambiguous="earliest").cast(schema.TIMESTAMP)
    else:
        raise pa.ArrowInvalid(f"{zone} is not one zone")
    return pc.subtract(local, pa.scalar(offset, pa.duration("us"))).cast(schema.TIMESTAMP)


def strptime(text: pa.ChunkedArray, day_comes_first: bool | None) -> pa.ChunkedArray:
    """Convert local times to timestamps without a zone; what has none of the forms becomes null."""
    import duckdb

    ordered = () if day_comes_first is None else DAY_FIRST if day_comes_first else MONTH_FIRST
    formats = [date + clock for date, clock in product((*DATES, *ordered), CLOCKS)] + [C_TIME]
    with duckdb.connect() as connection:
        connection.register("texts", pa.table({"text": text}))
        query = "select try_strptime(text, $formats) as moment from texts"
        return connection.sql(query, params={"formats": formats}).to_arrow_table()["moment"]

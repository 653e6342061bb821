"""Tell the separator and the decimal mark of a text file from its content."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from events.bulk.batches import is_true_of_all
from events.bulk.text_bytes import may_have

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes", "\x01": "Hive's control-A"}
SAMPLE = 65_536  # bytes that the separator is told from
# Above the header line spreadsheets write `sep=;`, and others leave lines blank.
ABOVE = re.compile(rb'(?i)(?:"?sep=(.)"?(?:\r\n?|\n))?(?:[ ]*(?:\r\n?|\n))*')

DECIMAL_COMMA = r"^\s*-?\d+,\d+\s*$"
# Three digits after the comma may be thousands: 1,234. One of these forms in a column makes all its commas decimal.
SURELY_DECIMAL = r"^\s*-?(0,\d+|\d{4,},\d+|\d+,(\d{1,2}|\d{4,}))\s*$"


@dataclass(frozen=True)
class Dialect:
    """What the caller knows about text files; None is told from the content.

    Args:
        separator: Separator of the columns; a tab also as a backslash and a t, which shells pass on.
        encoding: Encoding of the files that are neither UTF-8 nor UTF-16.
    """

    separator: str | None = None
    encoding: str | None = None


def separator_of(content: bytes) -> str:
    """Return the separator that divides the header line into most columns; rows of the same length decide a tie."""
    sample = content[:SAMPLE].decode(errors="ignore")
    lines = sample if len(content) <= SAMPLE else sample[: sample.rfind("\n") + 1] or sample

    def columns_and_agreement(separator: str) -> tuple[int, float]:
        rows = list(csv.reader(io.StringIO(lines, newline=""), delimiter=separator))
        columns = len(rows[0])
        return columns, columns > 1 and sum(len(row) == columns for row in rows) / len(rows)

    return max(SEPARATORS, key=columns_and_agreement)


@dataclass(frozen=True)
class Header:
    """The beginning of a text file, and what is above its header line.

    Args:
        content: The file from the header line on: at least the sample that tells the separator, if there is so much.
        separator: The separator that a line `sep=;` declares, or None.
        rows_above: Number of the lines above.
        begin: Number of the bytes above.
    """

    content: bytes
    separator: str | None
    rows_above: int
    begin: int


def header_of(blocks: Iterable[bytes]) -> Header:
    """Return the header of a text file in UTF-8."""
    read = b""
    for block in blocks:
        read += block
        above = cast("re.Match[bytes]", ABOVE.match(read))  # it matches nothing, too
        content = read[above.end() :]
        if len(content) > SAMPLE and content.strip():
            break
    return Header(content, above[1].decode() if above[1] else None, len(above[0].splitlines()), above.end())


def without_first(blocks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield blocks without their first `size` bytes."""
    for block in blocks:
        yield block[size:]
        size = max(0, size - len(block))


def describe(encoding: str, separator: str) -> str:
    """Return the dialect of a file in words: `CSV in utf-8, separated by commas`."""
    return f"CSV in {encoding.removesuffix('-sig')}, separated by {SEPARATORS.get(separator, repr(separator))}"


def with_decimal_points(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of numbers as text with its decimal commas read: `0,5` becomes 0.5.

    A column whose commas may separate thousands (only `1,234`), or that has points too, stays as it is.
    """
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    if is_true_of_all(lambda texts: not may_have(texts, b","), column):  # the usual case
        return column
    if not pc.any(pc.match_substring_regex(column, SURELY_DECIMAL)).as_py():
        return column
    if not pc.all(pc.match_substring_regex(column, rf"{DECIMAL_COMMA}|^\s*-?\d+\s*$")).as_py():
        return column
    text = pc.replace_substring(pc.utf8_trim_whitespace(column), ",", ".")
    return text.cast(pa.float64())

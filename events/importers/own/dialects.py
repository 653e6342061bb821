"""Tell the encoding, the separator and the decimal mark of a text file from its content."""

import codecs
import csv
import io
import re
from dataclasses import dataclass
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from events.importers.own.formats import FIX
from segue.errors import InputError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes", "\x01": "Hive's control-A"}
SAMPLE = 65_536  # bytes that the separator is told from
SHOWN = 60  # characters of a line that an error shows
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
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


def to_utf_8(data: bytes, name: str, fallback: str | None = None) -> tuple[bytes, str]:
    """Return the content of a text file in UTF-8, and the encoding that it had.

    A byte order mark or the zero bytes of UTF-16 say the encoding; all other files are UTF-8 if they can be.

    Args:
        data: Content of the file, not empty.
        name: Name of the file, for errors.
        fallback: Encoding of a file that is none of these.

    Raises:
        InputError: The content is no text, or a byte does not fit the encoding. The error then shows the line as
            Windows-1252, which it often is.
    """
    encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)
    encoding = encoding or utf_16_by_zeros(data[:SAMPLE]) or "utf-8"
    if encoding == "utf-8":
        refuse_zero_bytes(data, name)
    try:
        text = data.decode(encoding)
        if encoding == "utf-8":
            return data, encoding
        content = text.encode()
        refuse_zero_bytes(content, name)
        return content, encoding
    except UnicodeDecodeError as error:
        if encoding == "utf-8" and fallback:
            return decode_as(data, name, fallback), fallback
        begin = data.rfind(b"\n", 0, error.start) + 1
        row = data.count(b"\n", 0, begin) + 1
        line = data[begin : begin + 10_000].split(b"\n")[0].strip()
        around = line[max(0, error.start - begin - SHOWN // 2) :][:SHOWN].decode("cp1252", "replace")
        raise InputError(
            f"{name}, row {row}: the byte 0x{data[error.start]:02x} is not {encoding.upper()}. "
            f"As Windows-1252 the row reads {around!r}.",
            "If that is right, add `--encoding cp1252`; else name another encoding, or save the file as UTF-8.",
        ) from None


def refuse_zero_bytes(content: bytes, name: str) -> None:
    """Raise InputError if a text has a zero byte; one in the first line shows that the file is no text."""
    if 0 not in content:
        return
    row = content.count(b"\n", 0, content.index(0)) + 1
    if row == 1:
        raise InputError(f"Logs are read from Parquet or CSV; {name} is a binary file.", FIX)
    raise InputError(
        f"{name}, row {row}: text has no zero bytes; a file that was not closed may have them.",
        "Remove the byte, or export the file again.",
    )


def decode_as(data: bytes, name: str, encoding: str) -> bytes:
    """Return the content of a file in UTF-8, read with the encoding that the caller named."""
    try:
        return data.decode(encoding).encode()
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{name}, row {row}: the byte 0x{data[error.start]:02x} is neither UTF-8 nor {encoding}.",
            "Name the right encoding with `--encoding`, or save the file as UTF-8.",
        ) from None
    except (LookupError, ValueError):  # no encoding, or none of files, such as `idna`
        raise InputError(
            f"There is no encoding {encoding!r}.", "Use a name such as cp1252, latin-1, cp1250 or shift_jis."
        ) from None


def utf_16_by_zeros(sample: bytes) -> str | None:
    """Return the UTF-16 encoding of a sample without a byte order mark, or None if it is not UTF-16.

    In UTF-16 one byte of each letter of the Latin alphabet is zero, always the first or always the second. Few other
    letters have a zero in the other place.
    """
    first, second = sample[0::2].count(0), sample[1::2].count(0)
    if min(first, second) * 4 > max(first, second) or (first + second) * 4 < len(sample) // 2:
        return None
    return "utf-16-be" if first > second else "utf-16-le" if second else None


def separator_of(content: bytes) -> str:
    """Return the separator that divides the header line into most columns; rows of the same length decide a tie."""
    sample = content[:SAMPLE].decode(errors="ignore")
    lines = sample if len(content) <= SAMPLE else sample[: sample.rfind("\n") + 1] or sample

    def columns_and_agreement(separator: str) -> tuple[int, float]:
        rows = list(csv.reader(io.StringIO(lines, newline=""), delimiter=separator))
        columns = len(rows[0])
        return columns, columns > 1 and sum(len(row) == columns for row in rows) / len(rows)

    return max(SEPARATORS, key=columns_and_agreement)


def split_header(content: bytes) -> tuple[str | None, bytes, int]:
    """Return what a file has above its header line: the separator of a line `sep=;`, or None, and blank lines.

    Returns:
        The separator, the content from the header line on, and the number of lines above it.
    """
    above = cast("re.Match[bytes]", ABOVE.match(content))  # it matches nothing, too
    return above[1].decode() if above[1] else None, content[above.end() :], len(above[0].splitlines())


def describe(encoding: str, separator: str) -> str:
    """Return the dialect of a file in words: `CSV in utf-8, separated by commas`."""
    return f"CSV in {encoding.removesuffix('-sig')}, separated by {SEPARATORS.get(separator, repr(separator))}"


def with_decimal_points(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of numbers as text with its decimal commas read: `0,5` becomes 0.5.

    A column whose commas may separate thousands (only `1,234`), or that has points too, stays as it is.
    """
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    if not pc.any(pc.match_substring(column, ",")).as_py():  # the usual case, and much faster than a pattern
        return column
    if not pc.any(pc.match_substring_regex(column, SURELY_DECIMAL)).as_py():
        return column
    if not pc.all(pc.match_substring_regex(column, rf"{DECIMAL_COMMA}|^\s*-?\d+\s*$")).as_py():
        return column
    text = pc.replace_substring(pc.utf8_trim_whitespace(column), ",", ".")
    return text.cast(pa.float64())

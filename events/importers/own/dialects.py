"""Tell the encoding, the separator and the decimal mark of a text file from its content."""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from events.importers.own.formats import FIX, Source
from segue.errors import InputError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes"}
SAMPLE = 65_536  # bytes that the separator is told from
SHOWN = 60  # characters of a line that an error shows
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SEPARATOR_LINE = re.compile(rb'"?sep=(.)"?\r?\n')  # spreadsheets write it before the header line

DECIMAL_COMMA = r"^\s*-?\d+,\d+\s*$"
# Three digits after the comma may be thousands: 1,234. One of these forms in a column makes all its commas decimal.
SURELY_DECIMAL = r"^\s*-?(0,\d+|\d{4,},\d+|\d+,(\d{1,2}|\d{4,}))\s*$"


@dataclass(frozen=True)
class Dialect:
    """What the caller knows about text files; None is told from the content.

    Args:
        separator: Separator of the columns.
        encoding: Encoding of the files that are neither UTF-8 nor UTF-16.
    """

    separator: str | None = None
    encoding: str | None = None


def encoding_of(source: Source, name: str, fallback: str | None = None) -> str:
    """Return the encoding of a text file.

    A byte order mark or the zero bytes of UTF-16 say the encoding; all other files are UTF-8 if they can be.

    Args:
        source: The file, not empty.
        name: Name of the file, for errors.
        fallback: Encoding of a file that is none of these.

    Raises:
        InputError: The content is no text, or there is no such encoding.
    """
    head = source.head(SAMPLE)
    encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if head.startswith(mark)), None)
    encoding = encoding or utf_16_by_zeros(head) or "utf-8"
    if encoding == "utf-8" and 0 in head:
        raise InputError(f"Logs are read from Parquet or CSV; {name} is a binary file.", FIX)
    if encoding != "utf-8" or not fallback or is_utf_8(source):
        return encoding
    try:
        return codecs.lookup(fallback) and fallback
    except LookupError:
        raise InputError(
            f"There is no encoding {fallback!r}.", "Use a name such as cp1252, latin-1, cp1250 or shift_jis."
        ) from None


def is_utf_8(source: Source) -> bool:
    """Return whether a file is UTF-8 to its end."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in source.blocks():
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def utf_8_blocks(source: Source, name: str, encoding: str, given: bool) -> Iterator[bytes]:
    """Yield a text file in UTF-8, in blocks that end with a line.

    Args:
        source: The file.
        name: Name of the file, for errors.
        encoding: Its encoding.
        given: Whether the caller named the encoding, because the file is not UTF-8.

    Raises:
        InputError: A byte does not fit the encoding. Unless the encoding is given, the error shows the line as
            Windows-1252, which it often is.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    rows = 0
    for block, last in whole_lines(source.blocks()):
        if encoding == "utf-8" and block.isascii():
            yield block
        else:
            try:
                text = decoder.decode(block, last)
            except UnicodeDecodeError as error:
                raise undecodable(error, block, name, encoding, rows, given) from None
            yield block if encoding == "utf-8" else text.encode()
        rows += block.count(b"\n")


def whole_lines(blocks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield blocks that end with a line, and whether each is the last."""
    left = b""
    for block in blocks:
        end = block.rfind(b"\n") + 1
        if end:
            yield left + block[:end], False
            left = block[end:]
        else:
            left += block
    yield left, True


def undecodable(
    error: UnicodeDecodeError, block: bytes, name: str, encoding: str, rows: int, given: bool
) -> InputError:
    """Return the error about a byte that does not fit the encoding.

    Args:
        error: What the decoder said of the block, perhaps with some bytes before it.
        block: The block, from the beginning of a line.
        name: Name of the file.
        encoding: The encoding.
        rows: Number of rows before the block.
        given: Whether the caller named the encoding.
    """
    at = max(0, error.start - (len(error.object) - len(block)))
    begin = block.rfind(b"\n", 0, at) + 1
    row = rows + block.count(b"\n", 0, begin) + 1
    byte = f"{name}, row {row}: the byte 0x{error.object[error.start]:02x} is"
    if given:
        return InputError(
            f"{byte} neither UTF-8 nor {encoding}.",
            "Name the right encoding with `--encoding`, or save the file as UTF-8.",
        )
    line = block[begin : begin + 10_000].split(b"\n")[0].strip()
    around = line[max(0, at - begin - SHOWN // 2) :][:SHOWN].decode("cp1252", "replace")
    return InputError(
        f"{byte} not {encoding.upper()}. As Windows-1252 the row reads {around!r}.",
        "If that is right, add `--encoding cp1252`; else name another encoding, or save the file as UTF-8.",
    )


def utf_16_by_zeros(sample: bytes) -> str | None:
    """Return the UTF-16 encoding of a sample without a byte order mark, or None if it is not UTF-16.

    In UTF-16 one byte of each letter of the Latin alphabet is zero, always the first or always the second.
    """
    first, second = sample[0::2].count(0), sample[1::2].count(0)
    if min(first, second) or (first + second) * 4 < len(sample) // 2:
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


def split_separator_line(content: bytes) -> tuple[str | None, bytes]:
    """Return the separator that a first line `sep=;` declares, or None, and the content without this line."""
    declared = SEPARATOR_LINE.match(content)
    return (declared[1].decode(), content[declared.end() :]) if declared else (None, content)


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

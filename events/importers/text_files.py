"""Read delimited text files of any encoding and separator. Errors name the row."""

import io
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.csv as pacsv

from events.bulk.spool import store
from events.importers.text_types import with_types
from events.origins import RowOrigins
from segue.errors import InputError

BLOCK = 2**21  # bytes that are read at once; Arrow reads up to 32 blocks ahead
UNIT = "\x1f"  # replaces a separator of several bytes, which the CSV reader does not support
LAST = 1024  # bytes of a block in which its last line ends are
Block = bytes | memoryview
Item = TypeVar("Item")


def read(
    path: Path,
    names: Sequence[str] = (),
    separator: str = ",",
    encoding: str = "utf-8",
    quoted: bool = True,
    needed: Sequence[str] = (),
    text: Sequence[str] = (),
) -> tuple[pa.Table, RowOrigins]:
    """Read a delimited text file.

    Args:
        path: The file.
        names: Names of the columns, if the file has no header line.
        separator: Separator of the columns. It may have several characters.
        encoding: Encoding of the file.
        quoted: Whether double quotes enclose a value that contains separators or line breaks.
        needed: Columns that the file must have.
        text: Columns to read as text, in addition to `names` and `needed`. The other columns become numbers or dates
            if all their values are.

    Returns:
        The table, with null for an empty value, and the origins of its rows.

    Raises:
        InputError: The file is absent, empty, in another encoding or lacks a column, or a row has too few or too many
            columns.
    """
    content = decoded(path, encoding).encode()
    as_text = store(*rows(lambda: iter([content]), path.name, separator, quoted, names))
    (table,) = with_types([as_text], (*names, *needed, *text))
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise InputError(
            f"{path.name}: the column {missing[0]!r} is missing. It has: {', '.join(table.column_names)}.",
            "Use the file as it was published.",
        )
    return table, RowOrigins.of(path.name, table.num_rows, 1 if names else 2)


class Stream(io.RawIOBase):
    """Blocks of bytes as a file that Arrow reads."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        super().__init__()
        self._blocks = blocks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def read(self, size: int = -1) -> Block:
        """Return `size` bytes, fewer only at the end; what lies in one block is not copied."""
        parts, wanted = [], sys.maxsize if size < 0 else size
        while wanted:
            if not self._left:
                block = next(self._blocks, None)
                if block is None:
                    break
                self._left = memoryview(block)
            parts.append(self._left[:wanted])
            self._left = self._left[wanted:]
            wanted -= len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)


def tidy(blocks: Iterator[bytes], separator: str) -> Iterator[Block]:
    """Yield a text with one line end at its end, whatever empty lines are there, and with separators of one byte.

    Args:
        blocks: The text, in blocks that do not divide a separator.
        separator: The separator. Arrow knows none of several bytes.
    """
    held = b""  # line ends that may be the last
    for block in blocks:
        if len(separator.encode()) > 1:
            block = block.replace(separator.encode(), UNIT.encode())
        end = end_of_text(block)
        if end:
            if held:
                yield held
            yield memoryview(block)[:end]
            held = b""
        held += block[end:]
    yield b"\r\n" if held.startswith(b"\r\n") else held[:1] or b"\n"  # Arrow takes a header without it for nothing


def end_of_text(block: bytes) -> int:
    """Return the place of the line ends at the end of a block. Few bytes are copied, because few are line ends."""
    last = block[-LAST:].rstrip(b"\r\n")
    return len(block) - len(block[-LAST:]) + len(last) if last else len(block.rstrip(b"\r\n"))


def rows(
    blocks: Callable[[], Iterator[bytes]],
    name: str,
    separator: str,
    quoted: bool = True,
    names: Sequence[str] = (),
    above: int = 0,
) -> tuple[pa.Schema, Generator[pa.RecordBatch, None, None]]:
    """Return the schema of a delimited text file, whose columns are all text, and its rows in batches.

    Args:
        blocks: Reads the content in UTF-8 from its beginning, in blocks that do not divide a separator.
        name: Name of the file, for errors.
        separator, quoted, names: As in `read`.
        above: Number of rows of the file above the content.

    Raises:
        InputError: A row has too few or too many columns.
    """
    columns = list(names)

    def reader(threads: bool = True) -> pacsv.CSVStreamingReader:
        return pacsv.open_csv(
            pa.PythonFile(Stream(tidy(blocks(), separator)), "r"),
            read_options=pacsv.ReadOptions(column_names=list(names) or None, use_threads=threads, block_size=BLOCK),
            parse_options=pacsv.ParseOptions(
                delimiter=UNIT if len(separator.encode()) > 1 else separator,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
                ignore_empty_lines=False,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types={column: pa.string() for column in columns},
                null_values=["", r"\N"],  # \N: databases
                strings_can_be_null=True,
            ),
        )

    def refusing(read: Callable[[pacsv.CSVStreamingReader], Iterable[Item]]) -> Generator[Item, None, None]:
        try:
            with reader() as opened:  # its thread must not outlive it: it calls `Stream`
                yield from read(opened)
        except pa.ArrowInvalid:
            reason = first_error(
                partial(reader, threads=False), above
            )  # with several threads Arrow does not name the row
            raise InputError(f"{name}: {reason}.", "Correct the row, or check the separator.") from None

    columns = columns or list(refusing(lambda opened: opened.schema.names))
    return pa.schema([(column, pa.string()) for column in columns]), refusing(iter)


def decoded(path: Path, encoding: str) -> str:
    """Return the text of a file.

    Raises:
        InputError: The file is absent or empty, or a byte does not fit the encoding.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}.", "Check the path.")
    content = path.read_bytes()
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path.name}, row {row}: the byte 0x{content[error.start]:02x} is not {encoding}.",
            f"Save the file as {encoding}.",
        ) from None
    if not text.strip():
        raise InputError(f"{path.name} is empty.", "Import a file with rows.")
    return text


def first_error(reader: Callable[[], pacsv.CSVStreamingReader], above: int) -> str:
    """Return what is wrong with a file that cannot be parsed."""
    try:
        with reader() as batches:
            for _ in batches:
                pass
    except pa.ArrowInvalid as error:
        return describe_error(error, above)
    raise AssertionError("the file can be parsed")


def describe_error(error: pa.ArrowInvalid, above: int) -> str:
    """Return Arrow's message about a malformed row in our form: `row 4: expected 8 columns, got 2`.

    Args:
        error: What Arrow says.
        above: Number of rows of the file that Arrow did not see.
    """
    message = str(error).removeprefix("CSV parse error: ").splitlines()[0].rstrip(".")
    if message.startswith("Row #"):
        row, _, rest = message.removeprefix("Row #").partition(": ")
        return f"row {int(row) + above}: {rest[:1].lower()}{rest[1:]}"
    if message.startswith("straddling object"):
        return "a row is longer than 2 MB, for instance because a quote is not closed"
    return message

"""Read delimited text files of any encoding and separator. Errors name the row."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from events.origins import RowOrigins
from segue.errors import InputError

UNIT = "\x1f"  # replaces a separator of several bytes, which the CSV reader does not support


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
    table = parse(decoded(path, encoding).encode(), path.name, (*names, *needed, *text), separator, quoted, names)
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise InputError(
            f"{path.name}: the column {missing[0]!r} is missing. It has: {', '.join(table.column_names)}.",
            "Use the file as it was published.",
        )
    return table, RowOrigins.of(path.name, table.num_rows, 1 if names else 2)


def parse(
    content: bytes, name: str, text: Sequence[str], separator: str, quoted: bool = True, names: Sequence[str] = ()
) -> pa.Table:
    """Parse the content of a delimited text file.

    Args:
        content: The text in UTF-8. Blank lines at its end are left out.
        name: Name of the file, for errors.
        text: Columns to read as text.
        separator, quoted, names: As in `read`.

    Raises:
        InputError: A row has too few or too many columns.
    """
    if len(separator.encode()) > 1:
        content, separator = content.replace(separator.encode(), UNIT.encode()), UNIT
    if not content.endswith((b"\n", b"\r")):
        content += b"\n"  # without it, Arrow takes a lone header line for nothing
    end = len(content)
    while end and content[end - 1] in b"\r\n":
        end -= 1
    end += 2 if content[end : end + 2] == b"\r\n" else 1  # keep one line end
    try:
        return pacsv.read_csv(
            pa.BufferReader(pa.py_buffer(content).slice(0, end)),
            # With several threads an error does not name the row.
            read_options=pacsv.ReadOptions(column_names=list(names) or None, use_threads=False),
            parse_options=pacsv.ParseOptions(
                delimiter=separator,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
                ignore_empty_lines=False,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types={column: pa.string() for column in text},
                null_values=["", r"\N"],  # \N: databases
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        raise InputError(f"{name}: {describe_error(error)}.", "Correct the row, or check the separator.") from None


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


def describe_error(error: pa.ArrowInvalid) -> str:
    """Return Arrow's message about a malformed row in our form: `row 4: expected 8 columns, got 2`."""
    message = str(error).removeprefix("CSV parse error: ").splitlines()[0].rstrip(".")
    if message.startswith("Row #"):
        row, _, rest = message.removeprefix("Row #").partition(": ")
        return f"row {row}: {rest[:1].lower()}{rest[1:]}"
    if message.startswith("straddling object"):
        return "a row is longer than 1 MB, for instance because a quote is not closed"
    return message

"""Text tables of public data sets: every column read as text, in the encoding and dialect given."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from events.imported import Source
from segue.errors import InputError

UNIT = "\x1f"  # stands in for a separator of more than one character


def read(
    path: Path,
    names: tuple[str, ...] | None = None,
    separator: str = ",",
    encoding: str = "utf-8",
    quoted: bool = True,
    text: tuple[str, ...] | None = None,
) -> tuple[pa.Table, Source]:
    """Read a delimited text file.

    Args:
        path: the file.
        names: the columns, where the file has no header line; None: the header names them.
        separator: between columns; may be longer than a character.
        encoding: of the file. A byte that does not fit it becomes U+FFFD.
        quoted: whether double quotes enclose a value.
        text: columns to leave as text; None: all. Others are read as numbers where they are some.

    Returns:
        The table (an empty value is null) and where its rows came from.

    Raises:
        InputError: the file is absent, empty, or a row has too few or too many columns.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}.", "Check the path.")
    content = path.read_bytes().decode(encoding, errors="replace").rstrip("\r\n")
    if not content.strip():
        raise InputError(f"{path.name} is empty.", "Import a file with rows.")
    if len(separator) > 1:
        content, separator = content.replace(separator, UNIT), UNIT
    header = names is None
    columns = content.split("\n", 1)[0].lstrip("\ufeff").rstrip("\r").split(separator) if header else names
    as_text = [name.strip('"') for name in columns or ()] if text is None else text
    try:
        table = pacsv.read_csv(
            io.BytesIO((content + "\n").encode()),
            # One thread: only then does an error say which row it is about.
            read_options=pacsv.ReadOptions(column_names=names, use_threads=False),
            parse_options=pacsv.ParseOptions(
                delimiter=separator,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
                ignore_empty_lines=False,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types={name: pa.string() for name in as_text},
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        raise InputError(
            f"{path.name}: {plain(error)}.", "Correct the row, or check the separator."
        ) from None
    return table, Source.of(path.name, table.num_rows, 2 if header else 1)


def plain(error: pa.ArrowInvalid) -> str:
    """Arrow's message about a malformed row, with the row first."""
    message = str(error).removeprefix("CSV parse error: ").split("\n", 1)[0].rstrip(".")
    if message.startswith("Row #"):
        row, _, rest = message.removeprefix("Row #").partition(": ")
        return f"row {row}: {rest[:1].lower()}{rest[1:]}"
    return message

"""Read the files of a table, each in its own format and dialect."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from events.importers import text_files
from events.importers.own import dialects, folders, formats, quotes
from events.importers.own.dialects import Dialect
from events.origins import RowOrigins
from segue.errors import InputError

STORED_BY = "day"  # events are stored by the day of their time, so a partition by day adds nothing


@dataclass(frozen=True)
class Part:
    """The rows of one file.

    Args:
        table: The rows, under the columns of the file and of its partition folders.
        origins: Origins of the rows.
        form: Format and dialect in words, such as `CSV in utf-8, separated by commas (gzip)`.
        partition: Names of the columns that the folders above the file stand for.
    """

    table: pa.Table
    origins: RowOrigins
    form: str
    partition: tuple[str, ...] = ()


def read(paths: Sequence[Path], text: Sequence[str], dialect: Dialect) -> tuple[list[Part], list[str]]:
    """Read all files that the paths of a table give.

    Args:
        paths: Files and folders.
        text: Columns of text files to read as text even if they look like numbers: the id `007` keeps its zeros.
        dialect: What the caller knows about the text files.

    Returns:
        The files with their rows, and the names of files in folders that are left out.

    Raises:
        InputError: A file cannot be read, or no file has a row.
    """
    try:
        files, left_out = folders.files_of(tuple(paths))
        parts = [read_file(file, text, dialect) for file in files]
    except OSError as error:
        raise InputError(
            f"{error.filename} cannot be read: {error.strerror}.", "Check the path and its rights."
        ) from None
    if not any(part.table.num_rows for part in parts):
        names = ", ".join(file.name for file in files)
        raise InputError(f"{names} has no rows.", "Import a file with rows.")
    refuse_lone_rows(parts)
    return parts, left_out


def refuse_lone_rows(parts: Sequence[Part]) -> None:
    """Raise InputError if the only line of a text file names no column of the other files: it is a row."""
    known = {name for part in parts if part.table.num_rows for name in part.table.column_names}
    for part in parts:
        names = set(part.table.column_names) - set(part.partition)
        lone = not part.table.num_rows and not part.form.startswith("Parquet")
        if lone and names and known.isdisjoint(names):
            raise InputError(
                f"{part.origins.name}: the first line of a text file names its columns; its only line has none of the "
                f"other files: {', '.join(part.table.column_names)}.",
                "Write the names of the columns as the first line of each file.",
            )


def read_file(file: folders.File, text: Sequence[str], dialect: Dialect) -> Part:
    """Read one file of any format."""
    data, compression = formats.content(file.path)
    if data.startswith(formats.PARQUET):
        table, first, form = formats.read_parquet(data, file.name), 1, "Parquet"
    else:
        table, first, form = read_text(data, file.name, text, dialect)
    # pandas writes its index under an empty name.
    names = [column.strip() or f"column_{number}" for number, column in enumerate(table.column_names, 1)]
    table = table.rename_columns(names)
    repeated = [name for name, count in Counter(table.column_names).items() if count > 1]
    if repeated:
        raise InputError(f"{file.name} has two columns {repeated[0]!r}.", "Rename or remove one of them.")
    form = f"{form} ({compression})" if compression else form
    return with_partition(Part(table, RowOrigins.of(file.name, table.num_rows, first), form), file)


def read_text(data: bytes, name: str, text: Sequence[str], dialect: Dialect) -> tuple[pa.Table, int, str]:
    """Return the rows of a delimited text file, the number of its first row, and its dialect in words."""
    content, encoding = dialects.to_utf_8(data, name, dialect.encoding)
    declared, content, above = dialects.split_header(content)
    if not content.strip():  # Spark writes such files for partitions without rows
        return pa.table({}), 2, "an empty file"
    given = "\t" if dialect.separator == r"\t" else dialect.separator
    separator = given or declared or dialects.separator_of(content)
    table = text_files.parse(content, name, text, separator)
    if padded := [column for column in table.column_names if column.strip() != column and column.strip() in text]:
        table = text_files.parse(content, name, (*text, *padded), separator)
    quotes.refuse_broken(content, separator, table.num_rows, name)
    return table, above + 2, dialects.describe(encoding, separator)


def with_partition(part: Part, file: folders.File) -> Part:
    """Return the rows of a file with the columns that its folders stand for.

    Raises:
        InputError: The file has such a column with another value.
    """
    table = part.table
    for name, value in file.partition.items():
        if name not in table.column_names:
            table = table.append_column(name, pa.array([value] * table.num_rows, pa.string()))
            continue
        if value is not None and not is_everywhere(table[name], value):
            raise InputError(
                f"{file.name}: the folder says {name}={value}; the column {name!r} of the file has other values.",
                "Remove the column, or rename the folder.",
            )
    return replace(part, table=table, partition=tuple(file.partition))


def is_everywhere(column: pa.ChunkedArray, text: str) -> bool:
    """Return whether all values of a column that are not null are written as a text."""
    try:
        return pc.all(pc.equal(column.cast(pa.string()), text)).as_py() is not False
    except pa.ArrowException:  # lists, for instance
        return False


def concat(tables: Sequence[pa.Table]) -> tuple[pa.Table, list[str]]:
    """Return one table of several, and the columns that became text because their types differ."""
    try:
        return pa.concat_tables(tables, promote_options="permissive"), []
    except pa.ArrowException:
        names = dict.fromkeys(name for table in tables for name in table.column_names)
        mixed = [name for name in names if not unites([table[name] for table in tables if name in table.column_names])]
    as_text = []
    for table in tables:
        for name in set(mixed) & set(table.column_names):
            place = table.column_names.index(name)
            try:
                table = table.set_column(place, name, table[name].cast(pa.string()))
            except pa.ArrowException:
                raise InputError(
                    f"The files differ in their columns: {name!r} is {table[name].type} in one of them.",
                    "Give all files the same columns with the same types.",
                ) from None
        as_text.append(table)
    return pa.concat_tables(as_text, promote_options="permissive"), mixed


def unites(columns: Sequence[pa.ChunkedArray]) -> bool:
    """Return whether Arrow finds one type for columns of several types, and the type holds their values."""
    try:
        pa.concat_tables([pa.table({"column": column}) for column in columns], promote_options="permissive")
    except pa.ArrowException:
        return False
    return True

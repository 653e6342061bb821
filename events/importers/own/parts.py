"""Read the files of a table, each in its own format and dialect."""

from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from events.bulk.spool import Spool
from events.importers import text_files, text_types
from events.importers.own import dialects, folders
from events.importers.own.dialects import Dialect
from events.importers.own.formats import Source
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
    contents: list[Content] = []
    try:
        files, left_out = folders.files_of(tuple(paths))
        spool = Spool()
        for file in files:
            contents.append(content := open_file(file, dialect))
            spool.add(content.table_schema, content.batches)
        tables = spool.tables()
    except OSError as error:
        if error.filename is None:  # the disk of temporary files is full
            raise
        raise InputError(
            f"{error.filename} cannot be read: {error.strerror}.", "Check the path and its rights."
        ) from None
    finally:
        for content in contents:
            content.batches.close()
    typed = iter(text_types.with_types([t for t, c in zip(tables, contents, strict=True) if c.is_text], text))
    parts = [
        with_partition(part_of(next(typed) if content.is_text else table, content, file), file)
        for file, content, table in zip(files, contents, tables, strict=True)
    ]
    if not any(part.table.num_rows for part in parts):
        names = ", ".join(file.name for file in files)
        raise InputError(f"{names} has no rows.", "Import a file with rows.")
    return parts, left_out


@dataclass(frozen=True)
class Content:
    """The rows of a file as they are read.

    Args:
        table_schema: Its columns.
        batches: Its rows.
        first: Number of the first row.
        form: As in `Part`.
        is_text: Whether all columns are text, in a delimited text file.
    """

    table_schema: pa.Schema
    batches: Generator[pa.RecordBatch, None, None]
    first: int
    form: str
    is_text: bool


def open_file(file: folders.File, dialect: Dialect) -> Content:
    """Begin to read one file of any format."""
    source = Source.of(file.path)
    content = (
        Content(*source.parquet_rows(file.name), 1, "Parquet", is_text=False)
        if source.is_parquet()
        else open_text(source, file.name, dialect)
    )
    repeated = [name for name, count in Counter(content.table_schema.names).items() if count > 1]
    if repeated:
        raise InputError(f"{file.name} has two columns {repeated[0]!r}.", "Rename or remove one of them.")
    return replace(content, form=f"{content.form} ({source.compression})") if source.compression else content


def open_text(source: Source, name: str, dialect: Dialect) -> Content:
    """Begin to read a delimited text file."""
    encoding = dialects.encoding_of(source, name, dialect.encoding)
    blocks = partial(dialects.utf_8_blocks, source, name, encoding, encoding == dialect.encoding)
    head = text_files.Stream(blocks()).read(2 * dialects.SAMPLE)
    declared, rest = dialects.split_separator_line(head)
    if not rest.strip():
        raise InputError(f"{name} is empty.", "Import a file with rows.")
    separator = dialect.separator or declared or dialects.separator_of(rest)
    table_schema, batches = text_files.rows(blocks, name, separator, skip=len(head) - len(rest))
    # pandas writes its index under an empty name.
    names = [column.strip() or f"column_{number}" for number, column in enumerate(table_schema.names, 1)]
    renamed = (batch.rename_columns(names) for batch in batches)
    table_schema = pa.schema([(column, pa.string()) for column in names])
    return Content(table_schema, renamed, 3 if declared else 2, dialects.describe(encoding, separator), is_text=True)


def part_of(table: pa.Table, content: Content, file: folders.File) -> Part:
    """Return the rows of a file with their origins."""
    return Part(table, RowOrigins.of(file.name, table.num_rows, content.first), content.form)


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
        same = pc.equal(table[name].cast(pa.string()), value)
        if value is not None and not pc.all(same).as_py():
            raise InputError(
                f"{file.name}: the folder says {name}={value}; the column {name!r} of the file has other values.",
                "Remove the column, or rename the folder.",
            )
    return replace(part, table=table, partition=tuple(file.partition))


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
    """Return whether Arrow finds one type for columns of several types."""
    try:
        schemas = [pa.schema([("column", column.type)]) for column in columns]
        pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException:
        return False
    return True

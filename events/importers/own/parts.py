"""Read the files of a table, each in its own format and dialect."""

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from events.bulk.spool import Spool
from events.importers import text_files, text_types
from events.importers.own import dialects, encodings, folders
from events.importers.own.dialects import Dialect
from events.importers.own.formats import Source
from events.importers.own.quotes import QuoteCheck
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
    # pandas writes its index under an empty name.
    names = [name.strip() or f"column_{number}" for number, name in enumerate(content.table_schema.names, 1)]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InputError(f"{file.name} has two columns {repeated[0]!r}.", "Rename or remove one of them.")
    # Without the metadata that a writer left.
    table_schema = pa.schema(list(zip(names, content.table_schema.types, strict=True)))
    form = f"{content.form} ({source.compression})" if source.compression else content.form
    return replace(content, table_schema=table_schema, batches=under(content.batches, table_schema), form=form)


def under(
    batches: Generator[pa.RecordBatch, None, None], table_schema: pa.Schema
) -> Generator[pa.RecordBatch, None, None]:
    """Yield the same rows under other names of the columns."""
    with closing(batches):
        for batch in batches:
            yield pa.RecordBatch.from_arrays(batch.columns, schema=table_schema)


def open_text(source: Source, name: str, dialect: Dialect) -> Content:
    """Begin to read a delimited text file."""
    encoding = encodings.encoding_of(source, dialect.encoding)
    blocks = partial(encodings.utf_8_blocks, source, name, encoding, encoding == dialect.encoding)
    header = dialects.header_of(blocks())
    if not header.content.strip():  # Spark writes such files for partitions without rows
        return Content(pa.schema([]), (batch for batch in list[pa.RecordBatch]()), 2, "an empty file", is_text=True)
    given = "\t" if dialect.separator == r"\t" else dialect.separator
    separator = given or header.separator or dialects.separator_of(header.content)
    check = QuoteCheck(name, separator, header.rows_above)

    def content() -> Iterator[bytes]:
        return dialects.without_first(blocks(), header.begin)

    table_schema, batches = text_files.rows(lambda: check.watch(content()), name, separator, above=header.rows_above)
    checked = check.refuse_broken(batches, content)
    form = dialects.describe(encoding, separator)
    return Content(table_schema, checked, header.rows_above + 2, form, is_text=True)


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

"""Conform a table to its schema: canonical columns come first, cast to their types; other columns follow."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from events import schema, times
from events.bulk.batches import batches, by_chunk, in_parallel
from events.bulk.spool import Spool, let_go
from events.origins import RowOrigins
from events.values import dates, ids, label_values, lists, numbers
from events.values.reading import Convert, Reading, as_type, python_value, without_blanks, without_words, words_note
from segue.errors import InputError

LIST_SEPARATOR = lists.SEPARATOR
CONFORMED = b"conformed"  # the metadata of a table that `conform` returned holds the columns of its schema
NOTE = b"note"  # the metadata of a column's field that holds what its reading decided
LONGEST = 100  # characters of a value that an error shows
DURATION, LISTEN = "duration_ms", f"label_{schema.LISTEN}"


def conform(table: pa.Table, table_schema: pa.Schema, origins: RowOrigins) -> pa.Table:
    """Return the table with the schema's columns, cast and in the schema's order; other columns follow.

    An optional column that is absent becomes null. A null in a required column is allowed here:
    `events.checks` refuses it later and names its row. The labels of a log are cast too. What the reading of a whole
    column decided, such as a separator, is in the metadata of its field; see `notes`.

    Raises:
        InputError: A required column is missing, or a value does not fit its column's type.
    """
    return conform_all([table], table_schema, [origins])[0]


def conform_all(tables: Sequence[pa.Table], table_schema: pa.Schema, origins: Sequence[RowOrigins]) -> list[pa.Table]:
    """Return several tables as `conform` does. The converted columns of long tables lie in one temporary file."""
    spool, plans = Spool(), []
    for table, table_origins in zip(tables, origins, strict=True):
        refuse_missing(table, table_schema, table_origins)
        columns = plan(table, table_schema)
        changed = [(field, reading) for field, reading in columns if reading]
        spool.add(pa.schema([field for field, _ in changed]), converted(table, changed, table_origins))
        plans.append(columns)
    return [
        assembled(table, columns, values, table_schema)
        for table, columns, values in zip(tables, plans, spool.tables(), strict=True)
    ]


def refuse_missing(table: pa.Table, table_schema: pa.Schema, origins: RowOrigins) -> None:
    """Raise InputError if the table lacks a required column."""
    missing = [f.name for f in table_schema if not f.nullable and f.name not in table.column_names]
    if missing:
        raise InputError(
            f"{origins.name}: the column {missing[0]!r} is missing. It has: {', '.join(table.column_names)}.",
            f"Add the column, or name the column that holds it with `--map {missing[0]}=NAME`.",
        )


def plan(table: pa.Table, table_schema: pa.Schema) -> list[tuple[pa.Field, Reading | None]]:
    """Return each column of the contract and how it is read; None if it is absent, empty, or right as it is.

    The metadata of a field holds what the reading decided.
    """
    if (table.schema.metadata or {}).get(CONFORMED) == signature(table_schema):
        return [(field, None) for field in table.schema]
    columns: list[tuple[pa.Field, Reading | None]] = []
    for field in (*table_schema, *brought_labels(table, table_schema)):
        let_go()
        reading = reading_of(table[field.name], field) if field.name in table.column_names else None
        if reading:
            note = (table.schema.field(field.name).metadata or {}).get(NOTE, b"")
            note = reading.note.encode() or note
            field = field.with_metadata({NOTE: note} if note else None)
            if reading.unchanged and table[field.name].type == field.type:
                reading = None
        columns.append((field, reading))
    return columns


def converted(
    table: pa.Table, columns: Sequence[tuple[pa.Field, Reading]], origins: RowOrigins
) -> Iterator[pa.RecordBatch]:
    """Yield the columns of a table as they are read, a batch at a time.

    Raises:
        InputError: A value does not fit the type. The error names the file, the row and the rule.
    """

    def convert(batch: pa.RecordBatch) -> pa.RecordBatch:
        values = [reading.convert(decoded(pa.chunked_array([batch[f.name]]), f)) for f, reading in columns]
        return pa.RecordBatch.from_arrays([one_chunk(column) for column in values], schema=batch_schema)

    batch_schema = pa.schema([field for field, _ in columns])
    try:
        yield from in_parallel(convert, batches(table.select(batch_schema.names)) if columns else ())
    except pa.ArrowException:
        for field, reading in columns:
            refuse_first_failure(table[field.name], field, reading, origins)
        raise


def assembled(
    table: pa.Table, columns: Sequence[tuple[pa.Field, Reading | None]], values: pa.Table, table_schema: pa.Schema
) -> pa.Table:
    """Return the columns of the contract, from `values` where they were converted, and the other columns."""
    arrays, fields = [], []
    for field, reading in columns:
        if reading:
            arrays.append(values[field.name])
        elif field.name in table.column_names and table[field.name].type == field.type:
            arrays.append(table[field.name])
        else:
            arrays.append(nulls(table, field.type))
        fields.append(field)
    names = {field.name for field in fields}
    extra = {name: table[name] for name in table.column_names if name not in names}
    fields += [pa.field(name, column.type) for name, column in extra.items()]
    metadata = {CONFORMED: signature(table_schema)}
    return pa.table([*arrays, *extra.values()], schema=pa.schema(fields, metadata=metadata))


def signature(table_schema: pa.Schema) -> bytes:
    """Return the names of the columns of a schema, which tell it from the others."""
    return ",".join(table_schema.names).encode()


def nulls(table: pa.Table, data_type: pa.DataType) -> pa.ChunkedArray:
    """Return a column of nulls as long as a table. Its chunks share their memory, and end where the batches end."""
    lengths = [batch.num_rows for batch in batches(table)]
    chunk = pa.nulls(max(lengths, default=0), data_type)
    return pa.chunked_array([chunk.slice(0, length) for length in lengths], data_type)


def one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; a single chunk is not copied."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def brought_labels(table: pa.Table, table_schema: pa.Schema) -> list[pa.Field]:
    """Return the fields of the labels that a log brings; items and users have none."""
    names = schema.LABEL_COLUMNS if table_schema is schema.EVENTS else ()
    return [pa.field(name, pa.float32()) for name in names if name in table.column_names]


def notes(table: pa.Table) -> list[str]:
    """Return what `conform` decided about the columns of a table, one line for each: `genres: lists are …`."""
    return [f"{f.name}: {f.metadata[NOTE].decode()}" for f in table.schema if f.metadata and NOTE in f.metadata]


def without_notes(table: pa.Table) -> pa.Table:
    """Return the table without the notes, as it is stored."""
    return pa.table(table.columns, schema=pa.schema([field.remove_metadata() for field in table.schema]))


def cast(column: pa.ChunkedArray, field: pa.Field, origins: RowOrigins) -> pa.ChunkedArray:
    """Return the column cast to the type of the field.

    Raises:
        InputError: A value does not fit the type. The error names the file, the row and the rule.
    """
    return read(column, field, origins)[0]


def read(column: pa.ChunkedArray, field: pa.Field, origins: RowOrigins) -> tuple[pa.ChunkedArray, str]:
    """Return the column cast to the type of the field, and what its reading decided.

    Raises:
        InputError: A value does not fit the type. The error names the file, the row and the rule.
    """
    table = conform(pa.table({field.name: column}), pa.schema([field]), origins)
    return table.column(0), (table.schema.field(0).metadata or {}).get(NOTE, b"").decode()


def cast_required(column: pa.ChunkedArray, field: pa.Field, origins: RowOrigins) -> pa.ChunkedArray:
    """Return the column cast to the type of the field, and refuse nulls.

    Raises:
        InputError: A value is null or does not fit the type. The error names the file, the row and the rule.
    """
    if column.null_count:
        file, row = origins.at(pc.index(pc.is_null(column), True).as_py())
        raise InputError(f"{file}, row {row}: {field.name} is null.", f"Give every row a value of {field.name}.")
    return cast(column, field, origins)


def decoded(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """Return the column without the encodings of its writer, and null for NaN and for blank text where text is read."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        column = column.cast(pa.string())
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):  # how Impala and old Spark write text
        column = as_text(column)
    if column.type == pa.float16():  # Arrow has few functions for it
        column = column.cast(pa.float32())
    if pa.types.is_floating(column.type) and not pa.types.is_floating(field.type):
        return numbers.without_nan(column)
    if pa.types.is_string(column.type) and not pa.types.is_string(field.type):
        return by_chunk(without_blanks, column)
    return column


def shown(value: Any) -> str:
    """Return a value as an error shows it: one of more than 100 characters is cut."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return bytes as text, or as they are if they are not UTF-8."""
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        return column


def reading_of(column: pa.ChunkedArray, field: pa.Field) -> Reading | None:
    """Return how a column is read into a field, decided by the whole column; None if all of it is null."""
    plain = decoded(column, field)
    if plain.null_count == len(plain):  # of any type: pandas writes an empty column as decimals
        return None
    reading = reading_of_values(plain, field)
    if not pa.types.is_string(field.type):  # text may be any word
        reading = known_words(plain, field, reading)
    return known_durations(plain, reading) if field.name == DURATION else reading


def known_words(column: pa.ChunkedArray, field: pa.Field, reading: Reading) -> Reading:
    """Return a reading with null for words such as `NULL`, if the column has some that its reading refuses."""
    known = by_chunk(without_words, column)
    if known.null_count == column.null_count:
        return reading
    words = column.filter(pc.and_(pc.is_valid(column), pc.is_null(known)))
    try:
        reading.convert(pa.chunked_array([pc.unique(words)]))
        return reading
    except pa.ArrowException:
        rest = reading_of_values(known, field) if known.null_count < len(known) else as_type(field.type, "")
    notes = filter(None, [words_note(column, known), rest.note])
    return Reading(lambda values: rest.convert(without_words(values)), rest.explain, "; ".join(notes))


def reading_of_values(column: pa.ChunkedArray, field: pa.Field) -> Reading:
    """Return how a column with values is read into a field."""
    source_type, target_type, name = column.type, field.type, field.name
    if name in schema.LABEL_COLUMNS:
        return label_values.read_listen(column) if name == LISTEN else label_values.read_yes_or_no(column)
    if pa.types.is_string(target_type) and name.endswith("_id"):
        return ids.read(column, required=not field.nullable)
    if pa.types.is_list(target_type) and not pa.types.is_string(source_type):
        return lists.read_lists(column)
    if source_type == target_type:
        return replace(as_type(target_type, ""), unchanged=True)
    if pa.types.is_timestamp(target_type):
        return times.read(column)
    if pa.types.is_date(target_type):
        return dates.read(column)
    if pa.types.is_list(target_type):
        return lists.read_text(column)
    if pa.types.is_integer(target_type):
        return numbers.read_whole(column, target_type)
    if pa.types.is_string(target_type) and pa.types.is_floating(source_type):
        return ids.from_decimals(source_type)
    return as_type(target_type, describe_type(target_type))


def known_durations(column: pa.ChunkedArray, reading: Reading) -> Reading:
    """Return the reading of durations with null for those of 0 or less, which mean unknown in many catalogues."""

    def convert(values: pa.ChunkedArray) -> pa.ChunkedArray:
        durations = reading.convert(values)
        return pc.if_else(pc.less_equal(durations, 0), pa.scalar(None, durations.type), durations)

    try:
        count = pc.sum(pc.less_equal(reading.convert(column), 0)).as_py() or 0
    except pa.ArrowException:
        return reading  # which refuses the value when it converts the column
    if not count:
        return reading
    note = f"{count:,} of {len(column):,} values are 0 or negative and count as unknown"
    return Reading(convert, reading.explain, "; ".join(filter(None, [reading.note, note])))


def refuse_first_failure(column: pa.ChunkedArray, field: pa.Field, reading: Reading, origins: RowOrigins) -> None:
    """Raise InputError with the file, the row and the rule of the first value that a reading refuses, if it does."""
    begin = 0
    for chunk in column.chunks:
        plain = decoded(pa.chunked_array([chunk]), field)
        try:
            reading.convert(plain)
        except pa.ArrowException:
            position = begin + first_failure(plain, reading.convert)
            file, row = origins.at(position)
            value = python_value(plain[position - begin])
            refusal = reading.explain(value)
            raise InputError(f"{file}, row {row}: {field.name} is {shown(value)}{refusal.rule}.", refusal.fix) from None
        begin += len(chunk)


def first_failure(column: pa.ChunkedArray, convert: Convert) -> int:
    """Return the position of the first value that `convert` refuses, found by bisection.

    The caller has seen `convert` fail on the whole column, so there is such a value.
    """
    low, high = 0, len(column)  # all values before `low` convert; the first failure is before `high`
    while high - low > 1:
        middle = (low + high) // 2
        try:
            convert(column.slice(low, middle - low))
            low = middle
        except pa.ArrowException:
            high = middle
    return low


def describe_type(data_type: pa.DataType) -> str:
    """Return a type in plain words, with an article: `a number`."""
    if pa.types.is_floating(data_type):
        return "a number"
    if pa.types.is_string(data_type):
        return "text or a whole number"
    return f"of type {data_type}"

"""Conform a table to its schema: canonical columns come first, cast to their types; other columns follow."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from events import schema, times
from events.origins import RowOrigins
from events.values import dates, ids, label_values, lists, numbers
from events.values.reading import Convert, Reading, as_type, python_value, without_blanks, without_words, words_note
from segue.errors import InputError

LIST_SEPARATOR = lists.SEPARATOR
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
    missing = [f.name for f in table_schema if not f.nullable and f.name not in table.column_names]
    if missing:
        raise InputError(
            f"{origins.name}: the column {missing[0]!r} is missing. It has: {', '.join(table.column_names)}.",
            f"Add the column, or name the column that holds it with `--map {missing[0]}=NAME`.",
        )
    columns, fields = [], []
    for field in (*table_schema, *brought_labels(table, table_schema)):
        if field.name in table.column_names:
            column, note = read(table[field.name], field, origins)
            earlier = table.schema.field(field.name).metadata or {}
            metadata = {NOTE: note} if note else {NOTE: earlier[NOTE]} if NOTE in earlier else None
            field = field.with_metadata(metadata)
        else:
            column = pa.chunked_array([pa.nulls(table.num_rows, field.type)])
        columns.append(column)
        fields.append(field)
    names = {field.name for field in fields}
    extra = {name: table[name] for name in table.column_names if name not in names}
    fields += [pa.field(name, column.type) for name, column in extra.items()]
    return pa.table([*columns, *extra.values()], schema=pa.schema(fields))


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
    plain = decoded(column, field)
    if plain.null_count == len(plain):  # of any type: pandas writes an empty column as decimals
        return pa.chunked_array([pa.nulls(len(plain), field.type)]), ""
    reading = reading_of(plain, field)
    try:
        values = reading.convert(plain)
    except pa.ArrowException:
        known = without_words(plain)
        if known.null_count > plain.null_count:
            values, note = read(known, field, origins)
            return values, "; ".join(filter(None, [words_note(plain, known), note]))
        position = first_failure(plain, reading.convert)
        file, row = origins.at(position)
        value = python_value(plain[position])
        refusal = reading.explain(value)
        raise InputError(f"{file}, row {row}: {field.name} is {shown(value)}{refusal.rule}.", refusal.fix) from None
    if field.name == DURATION:
        return known_durations(values)
    return values, reading.note


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
        return without_blanks(column)
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


def reading_of(column: pa.ChunkedArray, field: pa.Field) -> Reading:
    """Return how a column is read into a field, decided by the whole column."""
    source_type, target_type, name = column.type, field.type, field.name
    if name in schema.LABEL_COLUMNS:
        return label_values.read_listen(column) if name == LISTEN else label_values.read_yes_or_no(column)
    if pa.types.is_string(target_type) and name.endswith("_id"):
        return ids.read(column, required=not field.nullable)
    if pa.types.is_list(target_type) and not pa.types.is_string(source_type):
        return lists.read_lists(column)
    if source_type == target_type:
        return as_type(target_type, "")
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


def known_durations(durations: pa.ChunkedArray) -> tuple[pa.ChunkedArray, str]:
    """Return durations with null for those of 0 or less, which mean unknown in many catalogues, and their number."""
    unknown = pc.less_equal(durations, 0)
    count = pc.sum(unknown).as_py() or 0
    if not count:
        return durations, ""
    note = f"{count:,} of {len(durations):,} values are 0 or negative and count as unknown"
    return pc.if_else(unknown, pa.scalar(None, durations.type), durations), note


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

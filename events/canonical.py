"""Bring a table to its schema: canonical columns first and typed, what is unknown kept behind them."""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from events import times
from events.imported import Source
from segue.errors import InputError

LIST_SEPARATOR = "|"  # between the genres of a text file

Convert = Callable[[pa.ChunkedArray], pa.ChunkedArray]


def conform(table: pa.Table, schema: pa.Schema, source: Source) -> pa.Table:
    """The table with the schema's columns, cast, in the schema's order; other columns follow.

    An optional column that is absent becomes null. Nulls in required columns are left to
    `events.checks`, which names their row.

    Raises:
        InputError: a required column is missing, or a value does not fit its column's type.
    """
    missing = [f.name for f in schema if not f.nullable and f.name not in table.column_names]
    if missing:
        raise InputError(
            f"{source.name}: the column {missing[0]!r} is missing. It has: {', '.join(table.column_names)}.",
            f"Add it, or say which of yours it is with `--map {missing[0]}=NAME`.",
        )
    columns = {
        field.name: cast(table[field.name], field, source)
        if field.name in table.column_names
        else pa.chunked_array([pa.nulls(table.num_rows, field.type)])
        for field in schema
    }
    extra = {name: table[name] for name in table.column_names if name not in columns}
    fields = [*schema, *(pa.field(name, column.type) for name, column in extra.items())]
    return pa.table([*columns.values(), *extra.values()], schema=pa.schema(fields))


def cast(column: pa.ChunkedArray, field: pa.Field, source: Source) -> pa.ChunkedArray:
    """The column in the field's type.

    Raises:
        InputError: a value does not fit; names its file, row and rule.
    """
    if column.type == field.type:
        return column
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    convert = conversion(column.type, field.type)
    try:
        return convert(column)
    except pa.ArrowException:
        position = first_failure(column, convert)
        file, row = source.at(position)
        raise InputError(
            f"{file}, row {row}: {field.name} is {column[position].as_py()!r}, which is not {article(field.type)}.",
            "Correct the value, or check that the column is the one you meant.",
        ) from None


def required(column: pa.ChunkedArray, field: pa.Field, source: Source) -> pa.ChunkedArray:
    """`cast`, for a column without nulls.

    Raises:
        InputError: a value is null or does not fit; names its file, row and rule.
    """
    if column.null_count:
        file, row = source.at(pc.index(pc.is_null(column), True).as_py())
        raise InputError(f"{file}, row {row}: {field.name} is null.", "Give every row its value.")
    return cast(column, field, source)


def conversion(given: pa.DataType, wanted: pa.DataType) -> Convert:
    """How to get from one type to another; the function raises on a value that does not fit."""
    if pa.types.is_timestamp(wanted):
        return times.parse
    if pa.types.is_string(wanted) and pa.types.is_floating(given):
        # Whole numbers beside a null come out of pandas as floats; their ids have no ".0".
        return lambda column: column.cast(pa.int64()).cast(wanted)
    if pa.types.is_list(wanted) and (pa.types.is_string(given) or pa.types.is_large_string(given)):
        return lambda column: pc.split_pattern(column, LIST_SEPARATOR).cast(wanted)
    if pa.types.is_date(wanted) and pa.types.is_timestamp(given):
        return lambda column: column.cast(wanted, safe=False)
    return lambda column: column.cast(wanted)


def first_failure(column: pa.ChunkedArray, convert: Convert) -> int:
    """Position of the first value that `convert` refuses, by bisection: some value does."""
    low, high = 0, len(column)  # what is before `low` converts; the first failure is before `high`
    while high - low > 1:
        middle = (low + high) // 2
        try:
            convert(column.slice(low, middle - low))
            low = middle
        except pa.ArrowException:
            high = middle
    return low


def article(kind: pa.DataType) -> str:
    """A type in plain words."""
    if pa.types.is_timestamp(kind):
        return "a time (ISO 8601, or unix seconds or milliseconds)"
    if pa.types.is_integer(kind):
        return "a whole number"
    if pa.types.is_floating(kind):
        return "a number"
    if pa.types.is_date(kind):
        return "a date (YYYY-MM-DD)"
    if pa.types.is_string(kind):
        return "text or a whole number"
    return f"of type {kind}"

"""Conform a table to its schema: canonical columns come first, cast to their types; other columns follow."""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from events import times
from events.origins import RowOrigins
from segue.errors import InputError

LIST_SEPARATOR = "|"  # separates the values of a list in a text file, such as `rock|indie`

Convert = Callable[[pa.ChunkedArray], pa.ChunkedArray]


def conform(table: pa.Table, schema: pa.Schema, origins: RowOrigins) -> pa.Table:
    """Return the table with the schema's columns, cast and in the schema's order; other columns follow.

    An optional column that is absent becomes null. A null in a required column is allowed here:
    `events.checks` refuses it later and names its row.

    Raises:
        InputError: A required column is missing, or a value does not fit its column's type.
    """
    missing = [f.name for f in schema if not f.nullable and f.name not in table.column_names]
    if missing:
        raise InputError(
            f"{origins.name}: the column {missing[0]!r} is missing. It has: {', '.join(table.column_names)}.",
            f"Add the column, or name the column that holds it with `--map {missing[0]}=NAME`.",
        )
    columns = {
        field.name: cast(table[field.name], field, origins)
        if field.name in table.column_names
        else pa.chunked_array([pa.nulls(table.num_rows, field.type)])
        for field in schema
    }
    extra = {name: table[name] for name in table.column_names if name not in columns}
    fields = [*schema, *(pa.field(name, column.type) for name, column in extra.items())]
    return pa.table([*columns.values(), *extra.values()], schema=pa.schema(fields))


def cast(column: pa.ChunkedArray, field: pa.Field, origins: RowOrigins) -> pa.ChunkedArray:
    """Return the column cast to the type of the field.

    Raises:
        InputError: A value does not fit the type. The error names the file, the row and the rule.
    """
    if column.type == field.type:
        return column
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    convert = converter(column.type, field.type)
    try:
        return convert(column)
    except pa.ArrowException:
        position = first_failure(column, convert)
        file, row = origins.at(position)
        raise InputError(
            f"{file}, row {row}: {field.name} is {column[position].as_py()!r}, "
            f"which is not {describe_type(field.type)}.",
            "Correct the value, or check that the right column was mapped.",
        ) from None


def cast_required(column: pa.ChunkedArray, field: pa.Field, origins: RowOrigins) -> pa.ChunkedArray:
    """Return the column cast to the type of the field, and refuse nulls.

    Raises:
        InputError: A value is null or does not fit the type. The error names the file, the row and the rule.
    """
    if column.null_count:
        file, row = origins.at(pc.index(pc.is_null(column), True).as_py())
        raise InputError(f"{file}, row {row}: {field.name} is null.", f"Give every row a value of {field.name}.")
    return cast(column, field, origins)


def converter(source_type: pa.DataType, target_type: pa.DataType) -> Convert:
    """Return a function that converts a column from one type to another and raises if a value does not fit."""
    if pa.types.is_timestamp(target_type):
        return times.parse
    if pa.types.is_string(target_type) and pa.types.is_floating(source_type):
        # pandas turns a column of whole numbers into floats if one is null. The id 7 must not become "7.0".
        return lambda column: column.cast(pa.int64()).cast(target_type)
    if pa.types.is_list(target_type) and (pa.types.is_string(source_type) or pa.types.is_large_string(source_type)):
        return lambda column: pc.split_pattern(column, LIST_SEPARATOR).cast(target_type)
    if pa.types.is_date(target_type) and pa.types.is_timestamp(source_type):
        return lambda column: column.cast(target_type, safe=False)
    return lambda column: column.cast(target_type)


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
    """Return a type in plain words, with an article: `a whole number`."""
    if pa.types.is_timestamp(data_type):
        return "a time (ISO 8601, or unix seconds or milliseconds)"
    if pa.types.is_integer(data_type):
        return "a whole number"
    if pa.types.is_floating(data_type):
        return "a number"
    if pa.types.is_date(data_type):
        return "a date (YYYY-MM-DD)"
    if pa.types.is_string(data_type):
        return "text or a whole number"
    return f"of type {data_type}"

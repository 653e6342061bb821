"""The quarantine: rows that break a rule, each with its table, file, row number, reason and values."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from events.origins import RowOrigins
from events.values.reading import python_value
from segue.files import finite

SCHEMA = pa.schema([
    pa.field("table", pa.string(), nullable=False),
    pa.field("file", pa.string(), nullable=False),
    pa.field("row", pa.int64(), nullable=False),
    pa.field("reason", pa.string(), nullable=False),
    pa.field("record", pa.string(), nullable=False),
])  # fmt: skip


def empty() -> pa.Table:
    """Return a quarantine without rows."""
    return SCHEMA.empty_table()


def entries(table: str, rows: pa.Table, origins: RowOrigins, positions: np.ndarray, reasons: Sequence[str]) -> pa.Table:
    """Return the quarantine entries for some rows of a table.

    Args:
        table: `items`, `users` or `events`.
        rows: The whole table.
        origins: Origins of the table's rows.
        positions: `[n]`, positions of the rows to quarantine.
        reasons: `[n]`, the rule that each of these rows breaks.

    Returns:
        `[n]` rows of `SCHEMA`. `record` holds the row as a JSON object.
    """
    places = [origins.at(position) for position in positions]
    taken = rows.take(pa.array(positions, pa.int64()))
    records = [
        dict(zip(taken.column_names, row, strict=True)) for row in zip(*map(values_of, taken.columns), strict=True)
    ]
    columns = [
        [table] * len(places),
        [file for file, _ in places],
        [row for _, row in places],
        list(reasons),
        [as_json(record) for record in records],
    ]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def values_of(column: pa.ChunkedArray) -> list[Any]:
    """Return the values of a column."""
    try:
        return column.to_pylist()
    except (OverflowError, ValueError):  # times that Python cannot hold
        return [python_value(scalar) for scalar in column]


def as_json(record: dict[str, Any]) -> str:
    """Return a row as a JSON object.

    Times become text. So do NaN and infinity, because JSON has no numbers for them; within a list they become null.
    """
    values = {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else finite(value)
        for name, value in record.items()
    }
    return json.dumps(values, default=str, ensure_ascii=False)

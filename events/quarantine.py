"""The quarantine: rows that break a rule, each with its table, file, row number, reason and values."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from events.bulk.batches import Rows
from events.bulk.spool import store
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
BATCH = 10_000  # rows that are Python objects at once
ENCODER = json.JSONEncoder(default=str, ensure_ascii=False)


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
    taken = Rows(rows)

    def batch(some: slice) -> pa.RecordBatch:
        values = map(values_of, taken.take(positions[some]).columns)
        records = [ENCODER.encode(dict(zip(rows.column_names, row, strict=True))) for row in zip(*values, strict=True)]
        places = origins.take(positions[some])
        files = [places.files[number] for number in places.file]
        columns = [[table] * len(records), files, places.row, reasons[some], records]
        return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)

    parts = (slice(begin, begin + BATCH) for begin in range(0, len(positions), BATCH))
    return store(SCHEMA, map(batch, parts))


def values_of(column: pa.ChunkedArray) -> list[Any]:
    """Return the values of a column as JSON holds them, and times for `ENCODER` to write as text.

    NaN and infinity become text, because JSON has no numbers for them; within a list they become null.
    """
    try:
        values = column.to_pylist()
    except (OverflowError, ValueError):  # times that Python cannot hold
        values = [python_value(scalar) for scalar in column]
    if pa.types.is_string(column.type) or pa.types.is_integer(column.type) or pa.types.is_temporal(column.type):
        return values
    return [str(v) if isinstance(v, float) and not math.isfinite(v) else finite(v) for v in values]

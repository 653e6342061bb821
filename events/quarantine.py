"""Rows set aside: each with the table, file and row it came from, the reason, and the row itself."""

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from events.imported import Source

SCHEMA = pa.schema([
    pa.field("table", pa.string(), nullable=False),
    pa.field("file", pa.string(), nullable=False),
    pa.field("row", pa.int64(), nullable=False),
    pa.field("reason", pa.string(), nullable=False),
    pa.field("record", pa.string(), nullable=False),
])  # fmt: skip


def empty() -> pa.Table:
    """A quarantine without rows."""
    return SCHEMA.empty_table()


def entries(table: str, rows: pa.Table, source: "Source", positions: np.ndarray, reasons: Sequence[str]) -> pa.Table:
    """Set aside some rows of a table.

    Args:
        table: `items`, `users` or `events`.
        rows: the whole table.
        source: where its rows came from.
        positions: `[n]`, the rows to set aside.
        reasons: `[n]`, why.

    Returns:
        `SCHEMA`, `[n]` rows; `record` is the row as a JSON object.
    """
    places = [source.at(position) for position in positions]
    records = rows.take(pa.array(positions, pa.int64())).to_pylist()
    columns = [
        [table] * len(places),
        [file for file, _ in places],
        [row for _, row in places],
        list(reasons),
        [as_json(record) for record in records],
    ]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def as_json(record: dict[str, Any]) -> str:
    """A row as a JSON object: times as text, and numbers that JSON does not have (NaN) as text too."""
    values = {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in record.items()
    }
    return json.dumps(values, default=str, ensure_ascii=False)

"""Conversions of Arrow table columns to NumPy arrays."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segue.errors import InputError


def vector_width(column: pa.ChunkedArray) -> int:
    """The length of the longest list in a column; 1 if all rows are null."""
    return pc.max(pc.list_value_length(column)).as_py() or 1


def dense(column: pa.ChunkedArray, width: int) -> np.ndarray:
    """Convert a list column to float32 `[n, width]`; null rows become zeros.

    Raises:
        InputError: a list has another length than `width`.
    """
    values = column.combine_chunks()
    widths = set(pc.unique(pc.list_value_length(values)).to_pylist()) - {None, width}
    if widths:
        raise InputError(
            f"The model takes vectors of {width} genres or content types. Received vectors of {max(widths)}.",
            "The catalogue's genres or types changed since the model was trained: run `segue run training`.",
        )
    out = np.zeros((len(values), width), np.float32)
    present = values.is_valid().to_numpy(zero_copy_only=False)
    flat = pc.list_flatten(values).to_numpy(zero_copy_only=False)
    out[present] = flat.reshape(-1, width)
    return out


def recent_first(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, pa.Array]:
    """Find the place of each history entry in an array `[n, columns]` that holds the most recent entry first.

    For example, the row `["old", "new"]` puts "new" in column 0 and "old" in column 1.

    Args:
        column: lists, each with the oldest entry first.

    Returns:
        The row and the column of each flattened entry, int `[entries]` each, and the flattened entries.
    """
    values = column.combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
    rows = np.repeat(np.arange(len(values)), lengths)
    ends = np.cumsum(lengths)
    columns = np.repeat(ends, lengths) - 1 - np.arange(len(rows))
    return rows, columns, pc.list_flatten(values)


def number(column: pa.ChunkedArray) -> np.ndarray:
    """Convert a numeric column to float32 `[n]`; nulls become 0."""
    return pc.fill_null(column, 0).to_numpy().astype(np.float32)


def seconds(column: pa.ChunkedArray) -> np.ndarray:
    """Convert a timestamp column to whole seconds since 1970 UTC, rounded down, int64 `[n]`."""
    return column.combine_chunks().cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy() // 1_000_000

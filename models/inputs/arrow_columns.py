"""Columns of Arrow tables as NumPy arrays."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segue.errors import InputError


def vector_width(column: pa.ChunkedArray) -> int:
    """The common length of a list column's rows (1 if all are null)."""
    return pc.max(pc.list_value_length(column)).as_py() or 1


def dense(column: pa.ChunkedArray, width: int) -> np.ndarray:
    """A list column as float32 `[n, width]`; null rows are zeros.

    Raises:
        InputError: a row has another width.
    """
    values = column.combine_chunks()
    widths = set(pc.unique(pc.list_value_length(values)).to_pylist()) - {None, width}
    if widths:
        raise InputError(
            f"The model knows {width} genres or content types; the features tell {max(widths)} apart.",
            "The catalogue's vocabulary changed since the model was trained: run `segue run training`.",
        )
    out = np.zeros((len(values), width), np.float32)
    present = values.is_valid().to_numpy(zero_copy_only=False)
    flat = pc.list_flatten(values).to_numpy(zero_copy_only=False)
    out[present] = flat.reshape(-1, width)
    return out


def recent_first(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, pa.Array]:
    """Where each entry of an oldest-first list column goes in a `[n, 50]` array, most recent first.

    Returns:
        Row and column of each flattened entry, and the flattened entries.
    """
    values = column.combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
    rows = np.repeat(np.arange(len(values)), lengths)
    ends = np.cumsum(lengths)
    columns = np.repeat(ends, lengths) - 1 - np.arange(len(rows))
    return rows, columns, pc.list_flatten(values)


def number(column: pa.ChunkedArray) -> np.ndarray:
    """A numeric column as float32, null as 0."""
    return pc.fill_null(column, 0).to_numpy().astype(np.float32)


def seconds(column: pa.ChunkedArray) -> np.ndarray:
    """A timestamp column as whole seconds since the epoch, int64."""
    return column.combine_chunks().cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy() // 1_000_000

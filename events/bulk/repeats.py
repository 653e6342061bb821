"""Find values of a column that occur more than once, with 8 bytes of memory for each row."""

import numpy as np
import pyarrow as pa

from events.bulk.batches import Rows
from events.bulk.database import bounded_database


def repeated(column: pa.ChunkedArray) -> np.ndarray:
    """Return the positions of all values that occur more than once, ascending. Null counts as a value."""
    hashes = hashed(column)
    ordered = np.sort(hashes)
    shared = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(shared):
        return np.empty(0, np.int64)
    positions = np.flatnonzero(np.isin(hashes, shared))
    codes = codes_of(column, positions)  # values of one hash may differ
    return positions[np.bincount(codes)[codes] > 1]


def first_repeated(column: pa.ChunkedArray) -> int | None:
    """Return the position of the first value that occurs earlier in the column, or None."""
    positions = repeated(column)
    if not len(positions):
        return None
    codes = codes_of(column, positions)
    # Codes follow the order of appearance, so the running maximum rises at each new value.
    new = np.diff(np.maximum.accumulate(codes), prepend=-1) > 0
    return int(positions[np.argmin(new)])


def codes_of(column: pa.ChunkedArray, positions: np.ndarray) -> np.ndarray:
    """Number the values at these positions from 0 in the order in which they appear; equal values share a number."""
    values = Rows(pa.table({"value": column})).take(positions)["value"].combine_chunks()
    return values.dictionary_encode(null_encoding="encode").indices.to_numpy()


def hashed(column: pa.ChunkedArray) -> np.ndarray:
    """Return a hash of 64 bits for each value. It holds for this process only."""
    with bounded_database() as connection:
        connection.register("ids", pa.table({"id": column}))
        return connection.sql("select hash(id) from ids").to_arrow_table().column(0).to_numpy()

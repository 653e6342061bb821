"""Make the event ids of a log that has none, from the content of its rows."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events.bulk.batches import batches, in_parallel
from events.bulk.database import bounded_database
from events.bulk.repeats import codes_of, repeated
from events.bulk.spool import store

DIGITS = 32  # an id is the first 32 hexadecimal digits of a SHA-256; ids of 128 bits do not collide
DIGESTS = pa.schema([("event_id", pa.string())])


def row_ids(table: pa.Table) -> tuple[pa.ChunkedArray, int]:
    """Return an id for each row, and how many rows repeat an earlier one.

    The id is the SHA-256 of the row's values that are not null, under their names in alphabetical order, so the same
    row has the same id in another file, order or format. The second and later of identical rows get `-2`, `-3`, …
    """
    names = sorted(table.column_names)
    digests = store(DIGESTS, in_parallel(lambda batch: digests_of(batch.select(names)), batches(table)))["event_id"]
    positions = repeated(digests)
    if not len(positions):
        return digests, 0
    ordinal = np.ones(len(digests), np.int64)
    ordinal[positions] = ordinals(codes_of(digests, positions))
    ends = np.cumsum([len(chunk) for chunk in digests.chunks])
    numbered = map(with_ordinals, digests.chunks, np.split(ordinal, ends[:-1]))
    return store(DIGESTS, numbered)["event_id"], int((ordinal > 1).sum())


def digests_of(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return the SHA-256 of each row, whose columns are in the order of their names."""
    # [rows], such as "action=play\x1fitem_id=i0\x1f…"
    named = [
        pc.binary_join_element_wise(pa.scalar(f"{name}="), as_text(pa.chunked_array([rows[name]])), "")
        for name in rows.schema.names
    ]
    content = pc.binary_join_element_wise(*named, "\x1f", null_handling="skip")
    with bounded_database() as connection:
        connection.register("content", pa.table({"row": content}))
        digests = connection.sql(f"select left(sha256(row), {DIGITS}) from content").to_arrow_table().column(0)
    return pa.record_batch([digests.combine_chunks()], schema=DIGESTS)


def with_ordinals(digests: pa.Array, ordinal: np.ndarray) -> pa.RecordBatch:
    """Return ids with `-2`, `-3`, … behind the second and later of equal ones."""
    suffix = pc.if_else(
        pa.array(ordinal == 1), "", pc.binary_join_element_wise("", pa.array(ordinal).cast("string"), "-")
    )
    return pa.record_batch([pc.binary_join_element_wise(digests, suffix, "")], schema=DIGESTS)


def ordinals(codes: np.ndarray) -> np.ndarray:
    """Return for each code how often it has occurred so far, from 1: `[7, 5, 7]` gives `[1, 1, 2]`."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    ordinal = np.empty(len(codes), np.int64)
    ordinal[order] = np.arange(len(codes)) - np.searchsorted(ordered, ordered) + 1
    return ordinal


def as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as text; a time is the number of its microseconds since 1970."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())
    try:
        return column.cast(pa.string())
    except pa.ArrowException:  # lists and structures
        texts = [None if v is None else json.dumps(v, sort_keys=True, default=str) for v in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])

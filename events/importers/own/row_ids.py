"""Make the event ids of a log that has none, from the content of its rows."""

import json

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

DIGITS = 32  # an id is the first 32 hexadecimal digits of a SHA-256; ids of 128 bits do not collide


def row_ids(table: pa.Table) -> tuple[pa.Array, int]:
    """Return an id for each row, and how many rows repeat an earlier one.

    The id is the SHA-256 of the row's values that are not null, under their names in alphabetical order, so the same
    row has the same id in another file, order or format. The second and later of identical rows get `-2`, `-3`, …
    """
    # [rows], such as "action=play\x1fitem_id=i0\x1f…"
    named = [
        pc.binary_join_element_wise(pa.scalar(f"{name}="), as_text(table[name]), "")
        for name in sorted(table.column_names)
    ]
    rows = pc.binary_join_element_wise(*named, "\x1f", null_handling="skip")
    with duckdb.connect() as connection:
        connection.register("content", pa.table({"row": rows}))
        digests = connection.sql(f"select left(sha256(row), {DIGITS}) from content").to_arrow_table().column(0)
    encoded = digests.combine_chunks().dictionary_encode()
    repeated = len(encoded) - len(encoded.dictionary)
    if not repeated:
        return digests.combine_chunks(), 0
    ordinal = ordinals(encoded.indices.to_numpy())
    suffix = pc.if_else(
        pa.array(ordinal == 1), "", pc.binary_join_element_wise("", pa.array(ordinal).cast("string"), "-")
    )
    return pc.binary_join_element_wise(digests.combine_chunks(), suffix, ""), repeated


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

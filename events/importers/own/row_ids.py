"""Make the event ids of a log that has none, from the content of its rows."""

import hashlib
import json
from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

DIGITS = 32  # of the SHA-256 in hexadecimal; 128 bits do not collide


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
    seen: Counter[str] = Counter()
    ids = []
    for row in rows.to_pylist():
        digest = hashlib.sha256(row.encode()).hexdigest()[:DIGITS]
        seen[digest] += 1
        ids.append(digest if seen[digest] == 1 else f"{digest}-{seen[digest]}")
    return pa.array(ids, pa.string()), table.num_rows - len(seen)


def as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as text; a time is the number of its microseconds since 1970."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())
    try:
        return column.cast(pa.string())
    except pa.ArrowException:  # lists and structures
        texts = [None if v is None else json.dumps(v, sort_keys=True, default=str) for v in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])

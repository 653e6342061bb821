"""Build the canonical tables of a public log: event ids, sessions, labels, times, and rows that are set aside."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events import quarantine, schema
from events.checks import broken, first_true, stop
from events.importers.sessions import sessions
from events.origins import RowOrigins

SESSION_RULE = "30 minutes without an event -> a new session"


def concat(parts: Sequence[tuple[pa.Table, RowOrigins]]) -> tuple[pa.Table, RowOrigins]:
    """Return the rows of several files as one table with its origins; columns that a file lacks are null."""
    tables, origins = zip(*parts, strict=True)
    return pa.concat_tables(tables, promote_options="default"), RowOrigins.concat(list(origins))


def codes(column: pa.ChunkedArray) -> np.ndarray:
    """Return an integer code for each value, in order of appearance; null is -1."""
    # Chunks are not combined, because one array of text holds 2 GB at most.
    chunks = column.dictionary_encode().unify_dictionaries().chunks
    return np.concatenate([np.empty(0, np.int32), *(chunk.indices.fill_null(-1).to_numpy() for chunk in chunks)])


def event_ids(prefix: str, *columns: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return `prefix-value-value`, made unique: the second row of the same values ends in `#2`."""
    ids = pc.binary_join_element_wise(prefix, *(column.cast(pa.string()) for column in columns), "-")
    values = codes(ids)
    order = np.argsort(values, kind="stable")
    _, start, size = np.unique(values[order], return_index=True, return_counts=True)
    number = np.empty(len(values), np.int64)
    number[order] = np.arange(len(values)) - np.repeat(start, size) + 1
    numbered = pc.binary_join_element_wise(ids, pa.array(number).cast(pa.string()), "#")
    return pc.if_else(pa.array(number == 1), ids, numbered)


def session_ids(users: pa.ChunkedArray, ts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return `user-s1`, `user-s2`, …: 30 minutes without an event begin a new session."""
    number = sessions(codes(users), ts.cast(pa.int64()).fill_null(0).to_numpy())
    return pc.binary_join_element_wise(users, pa.array(number).cast(pa.string()), "-s")


def labels(rows: int, **known: pa.ChunkedArray) -> dict[str, pa.ChunkedArray]:
    """Return all label columns. Those that are not given are null, which means unknown.

    Args:
        rows: Number of rows.
        **known: `label_…` columns of booleans or numbers.
    """
    unknown = pa.nulls(rows, pa.float32())
    return {name: known[name].cast(pa.float32()) if name in known else unknown for name in schema.LABEL_COLUMNS}


def strptime(column: pa.ChunkedArray, pattern: str, origins: RowOrigins) -> pa.ChunkedArray:
    """Return times in UTC of a column of text such as `11/15/2019 8:55:22 AM`.

    Raises:
        InputError: A value does not fit the pattern. The error names the file and the row.
    """
    parsed = pc.strptime(column, format=pattern, unit="us", error_is_null=True)
    failed = pc.and_(pc.is_valid(column), pc.is_null(parsed))
    if pc.any(failed).as_py():
        position = first_true(failed)
        rule = f"ts is {column[position].as_py()!r}, which is not a time of the form {pattern}"
        stop(origins, position, rule, "Use the file as it was published.")
    return pc.assume_timezone(parsed, "UTC")


def set_aside(
    table: pa.Table, origins: RowOrigins, rules: Mapping[str, pa.ChunkedArray]
) -> tuple[pa.Table, RowOrigins, pa.Table]:
    """Move events that break a rule to the quarantine.

    Args:
        table: Events.
        origins: Origins of the events.
        rules: `{reason: mask [rows]}`, true where the row breaks the rule.

    Returns:
        The other events, their origins, and the quarantine.
    """
    positions, reasons = broken(dict(rules))
    quarantined = quarantine.entries("events", table, origins, positions, reasons)
    kept = np.ones(table.num_rows, bool)
    kept[positions] = False
    return table.filter(pa.array(kept)), origins.take(kept), quarantined


def first_rows(table: pa.Table, key: str) -> tuple[pa.Table, np.ndarray]:
    """Return the first row of each value of `key`, in order of appearance, and the positions of these rows."""
    _, first = np.unique(codes(table[key]), return_index=True)
    return table.take(pa.array(first)), first


def distinct_users(users: pa.ChunkedArray) -> pa.Table:
    """Return a table of users with one row for each id of a log."""
    return pa.table({"user_id": pc.unique(users.drop_null())})


def items_of_ids(items: pa.ChunkedArray, content_type: str) -> pa.Table:
    """Return a table of items with one row for each id of a log. The id serves as the title."""
    distinct = pc.unique(items.drop_null())
    return pa.table({
        "item_id": distinct,
        "title": distinct,
        "content_type": pa.array([content_type] * len(distinct)),
    })  # fmt: skip

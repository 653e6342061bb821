"""Find features that know their own future: replay the log up to an instant and compare.

The features stamped at or before an instant are computed twice: from the whole log, and from a log that ends at that
instant. If they differ, they were computed from events that had not happened yet.
"""

from datetime import datetime
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from feature_repo import transformations
from feature_repo.build import axes_of, feature_tables, last_complete_day, load_manifest
from feature_repo.engine import duckdb_engine, read_parquet

REPLAYED = {"user_daily": "user_id", "user_history": "user_id", "item_daily": "item_id"}  # table -> key


def replay(ingested: Path, tables: Path, instant: datetime) -> list[str]:
    """Rebuild the snapshots of the day before `instant` from a log that ends there, and compare.

    Args:
        ingested: the log that `tables` was built from.
        tables: the folder that `build` wrote.
        instant: a time inside the log's span.

    Returns:
        One sentence for each table and column that differs; an empty list if no feature saw its future.
    """
    manifest = load_manifest(tables)
    axes = axes_of(manifest)
    newest = ibis.literal(instant, type=transformations.TIMESTAMP)
    oldest = ibis.literal(instant - transformations.DAILY, type=transformations.TIMESTAMP)
    findings = []
    with duckdb_engine() as engine:
        events, items, users = (
            read_parquet(engine, ingested / f"{name}.parquet") for name in ("events", "items", "users")
        )
        past = events.filter(_.ts < newest)
        rebuilt = feature_tables(past, items, users, axes, last_complete_day(instant))
        for name, key in REPLAYED.items():
            window = (_.event_timestamp <= newest) & (_.event_timestamp > oldest)
            stored_rows, rebuilt_rows = (
                engine.to_pyarrow(table.filter(window).order_by(key, "event_timestamp"))
                for table in (read_parquet(engine, tables / f"{name}.parquet"), rebuilt[name])
            )
            findings += [
                f"{name}.{column} as of {instant:%Y-%m-%d %H:%M} changes when the log ends there"
                for column in differing(stored_rows, rebuilt_rows)
            ]
    return findings


def differing(left: pa.Table, right: pa.Table) -> list[str]:
    """Return the columns that differ by more than rounding between two tables in the same order."""
    if left.num_rows != right.num_rows:
        return [f"(rows: {left.num_rows} against {right.num_rows})"]
    return [name for name in left.column_names if not same(left[name], right[name])]


def same(left: pa.ChunkedArray, right: pa.ChunkedArray) -> bool:
    """Compare two columns: lists entry by entry, floats up to the rounding of sums in another order."""
    if pa.types.is_list(left.type):
        lengths = pc.list_value_length(left), pc.list_value_length(right)
        return lengths[0].equals(lengths[1]) and same(pc.list_flatten(left), pc.list_flatten(right))
    if pa.types.is_floating(left.type):
        return bool(np.allclose(left.to_numpy(), right.to_numpy(), rtol=1e-4, atol=1e-5, equal_nan=True))
    return left.equals(right.cast(left.type))


def future_histories(table: pa.Table) -> int:
    """Count the training rows whose history holds an interaction later than the row's own time."""
    history = table["history_times"].combine_chunks()
    lengths = pc.list_value_length(history).fill_null(0).to_numpy()
    rows = np.repeat(np.arange(table.num_rows), lengths)  # the row of each history entry
    row_times = table["ts"].combine_chunks().cast(pa.int64()).to_numpy() // 1_000_000
    return len(np.unique(rows[pc.list_flatten(history).to_numpy() > row_times[rows]]))


def check(ingested: Path, tables: Path, instants: list[datetime], training: list[pa.Table]) -> list[str]:
    """Return all leaks as sentences, found by a replay at each instant and in the training set's histories."""
    findings = [sentence for instant in instants for sentence in replay(ingested, tables, instant)]
    late = sum(future_histories(table) for table in training)
    return findings + ([f"{late} training rows have a history later than themselves"] if late else [])

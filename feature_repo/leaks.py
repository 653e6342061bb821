"""Does a feature know its own future? Replay the log up to an instant and compare.

If the features stamped at or before an instant come out differently when the log ends there, they
were made from something that had not happened yet.
"""

from datetime import datetime
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from feature_repo import transformations as T
from feature_repo.build import Vocabularies, feature_tables, last_complete_day, load_manifest
from feature_repo.engine import duckdb_engine

REPLAYED = {"user_daily": "user_id", "user_history": "user_id", "item_daily": "item_id"}


def replay(ingested: Path, tables: Path, instant: datetime) -> list[str]:
    """Rebuild the snapshots of the day before `instant` from a log that ends there, and compare.

    Args:
        ingested: the log that `tables` was built from.
        tables: what `build` wrote.
        instant: inside the log's span.

    Returns:
        One sentence a table and column that differs; empty if nothing saw its future.
    """
    manifest = load_manifest(tables)
    axes = Vocabularies(manifest["genres"], manifest["content_types"])
    moment = ibis.literal(instant, type=T.TIMESTAMP)
    since = ibis.literal(instant - T.DAILY, type=T.TIMESTAMP)
    found = []
    with duckdb_engine() as engine:
        events, items, users = (
            engine.read_parquet(ingested / f"{name}.parquet") for name in ("events", "items", "users")
        )
        before = events.filter(_.ts < moment)
        rebuilt = feature_tables(before, items, users, axes, last_complete_day(instant))
        for name, key in REPLAYED.items():
            window = (_.event_timestamp <= moment) & (_.event_timestamp > since)
            pair = [
                engine.to_pyarrow(table.filter(window).order_by(key, "event_timestamp"))
                for table in (engine.read_parquet(tables / f"{name}.parquet"), rebuilt[name])
            ]
            found += [
                f"{name}.{column} as of {instant:%Y-%m-%d %H:%M} changes when the log ends there"
                for column in differing(*pair)
            ]
    return found


def differing(left: pa.Table, right: pa.Table) -> list[str]:
    """Columns that differ by more than rounding between two tables in the same order."""
    if left.num_rows != right.num_rows:
        return [f"(rows: {left.num_rows} against {right.num_rows})"]
    return [name for name in left.column_names if not same(left[name], right[name])]


def same(left: pa.ChunkedArray, right: pa.ChunkedArray) -> bool:
    """Equal, floats up to rounding (sums in another order), lists entry by entry."""
    if pa.types.is_list(left.type):
        lengths = pc.list_value_length(left), pc.list_value_length(right)
        return lengths[0].equals(lengths[1]) and same(pc.list_flatten(left), pc.list_flatten(right))
    if pa.types.is_floating(left.type):
        return bool(np.allclose(left.to_numpy(), right.to_numpy(), rtol=1e-4, atol=1e-5, equal_nan=True))
    return left.equals(right.cast(left.type))


def future_histories(table: pa.Table) -> int:
    """Training rows whose history holds something later than the row's own time."""
    history = table["history_times"].combine_chunks()
    length = pc.list_value_length(history).fill_null(0).to_numpy()
    rows = np.repeat(np.arange(table.num_rows), length)
    own = table["ts"].combine_chunks().cast(pa.int64()).to_numpy() // 1_000_000
    return len(np.unique(rows[pc.list_flatten(history).to_numpy() > own[rows]]))


def check(ingested: Path, tables: Path, instants: list[datetime], training: list[pa.Table]) -> list[str]:
    """All leaks found: by replay at each instant, and in the histories of the training set."""
    found = [sentence for instant in instants for sentence in replay(ingested, tables, instant)]
    late = sum(future_histories(table) for table in training)
    return found + ([f"{late} training rows have a history later than themselves"] if late else [])

"""Training sets: labelled examples, joined point in time with the features through Feast."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from feast import FeatureStore

from events.examples import examples
from events.ingest import read_manifest, read_split
from feature_repo import transformations as T
from feature_repo.build import load_manifest
from feature_repo.catalogue import items_as_of
from feature_repo.definitions import ONLINE_ONLY
from feature_repo.engine import duckdb_engine, write
from segue.errors import InputError
from segue.files import write_json

CHUNK = 250_000  # examples a join: bounds the memory, whatever the size of the log


def joined_features(store: FeatureStore) -> list[str]:
    """The features that Feast joins: all that the models' services name, less the event-level ones."""
    views = {p.name: p for s in store.list_feature_services() for p in s.feature_view_projections}
    return sorted(f"{n}:{f.name}" for n, p in views.items() if n not in ONLINE_ONLY for f in p.features)


def point_in_time_join(store: FeatureStore, keys: pa.Table, features: list[str]) -> pa.Table:
    """Join features to examples as of each example's time, through Feast.

    Args:
        store: the feature store.
        keys: `row` (unique), `user_id`, `item_id`, `ts`.
        features: references, `view:feature`.

    Returns:
        One column a feature, in the order of `keys`.
    """
    entity = keys.rename_columns({"ts": "event_timestamp"}).append_column(
        "request_ts", pc.cast(pc.divide(pc.cast(keys["ts"], pa.int64()), 1_000_000), pa.int64())
    )
    joined = store.get_historical_features(entity_df=entity.to_pandas(), features=features).to_arrow()
    return joined.sort_by("row").select([f.split(":")[1] for f in features])


def example_rows(events: ibis.Table) -> ibis.Table:
    """Examples with what the event itself knows, in order of time."""
    labelled = examples(events)
    known = labelled.left_join(T.recent(events), "event_id").drop("event_id_right")
    return known.order_by("ts", "event_id")


def chunks(ingested: Path, store: FeatureStore) -> Iterator[pa.Table]:
    """The training set of an ingested log in order of time, a bounded number of rows at once."""
    features = joined_features(store)
    with duckdb_engine() as engine, TemporaryDirectory(prefix="segue-training-") as folder:
        spill = Path(folder)
        events = engine.read_parquet(ingested / "events.parquet")
        write(example_rows(events), spill / "examples.parquet")
        write(T.sequences(events), spill / "sequences.parquet")
        listeners = engine.read_parquet(spill / "sequences.parquet")
        for batch in pq.ParquetFile(spill / "examples.parquet").iter_batches(CHUNK):
            rows = pa.Table.from_batches([batch])
            rows = rows.append_column("row", pa.array(range(rows.num_rows), pa.int64()))
            joined = point_in_time_join(store, rows.select(["row", "user_id", "item_id", "ts"]), features)
            asked = ibis.memtable(rows.select(["row", "user_id", "n_before"]))
            history = T.histories(asked, listeners).order_by("row")
            lists = engine.to_pyarrow(history.drop("row", "user_id", "n_before"))
            columns = {
                name: table[name]
                for table in (rows.drop_columns(["row", "n_before"]), joined, lists)
                for name in table.column_names
            }
            yield pa.table(columns)


def write_training_set(ingested: Path, store: FeatureStore, split, out: Path) -> dict[str, int]:
    """Write the training set to `out/{train,validation,test}.parquet`, cut by global time.

    Args:
        ingested: a folder with `events.parquet`.
        store: a store whose feature tables were built from that log.
        split: the one cut of all models (`events.splits.Split`).
        out: an existing folder.

    Returns:
        Rows a part.
    """
    parts = {
        "train": (split.start, split.train_end),
        "validation": (split.train_end, split.validation_end),
        "test": (split.validation_end, None),
    }
    writers: dict[str, pq.ParquetWriter] = {}
    rows = dict.fromkeys(parts, 0)
    try:
        for chunk in chunks(ingested, store):
            for name, (since, until) in parts.items():
                mask = pc.greater_equal(chunk["ts"], since)
                if until is not None:
                    mask = pc.and_(mask, pc.less(chunk["ts"], until))
                part = chunk.filter(mask)
                if name not in writers:
                    writers[name] = pq.ParquetWriter(out / f"{name}.parquet", chunk.schema, compression="zstd")
                writers[name].write_table(part)
                rows[name] += part.num_rows
    finally:
        for writer in writers.values():
            writer.close()
    return rows


def make_training_set(store: FeatureStore, ingested: Path, tables: Path, out: Path) -> dict:
    """Write a run's training set: its three parts, and the catalogue at the two instants that matter.

    Args:
        store: a store whose feature tables are `tables`.
        ingested: a folder that `events.ingest` wrote.
        tables: a folder that `feature_repo.build` wrote from it.
        out: a folder that does not stand yet.

    Returns:
        The manifest that is also written there: the data set's, with `rows` a part.

    Raises:
        InputError: a part without a positive label.
    """
    split = read_split(ingested)
    out.mkdir(parents=True)
    rows = write_training_set(ingested, store, split, out)
    for name in rows:
        if not pc.any(pq.read_table(out / f"{name}.parquet", columns=["positive"])["positive"]).as_py():
            raise InputError(
                f"Each part needs a positive example; the {name} part has none in {rows[name]} rows.",
                "Check how actions were mapped (`segue data describe`), or import a longer log.",
            )
    newest = datetime.fromtimestamp((load_manifest(tables)["last_day"] + 1) * T.DAY_SECONDS, UTC)
    for name, instant in (("items_at_test", split.validation_end), ("items_now", newest)):
        pq.write_table(items_as_of(tables, instant), out / f"{name}.parquet", compression="zstd")
    manifest = {**read_manifest(ingested), "rows": rows}
    write_json(out / "manifest.json", manifest)
    return manifest

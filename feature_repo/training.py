"""Training sets: labelled examples, joined through Feast with their features as of each example's time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from feast import FeatureStore
from ibis import _

from events import request_joins, schema
from events.ingest import read_manifest, read_split
from events.labels import examples, without_fallbacks
from events.splits import SPANS, Split
from feature_repo import transformations
from feature_repo.build import load_manifest
from feature_repo.definitions import ONLINE_ONLY
from feature_repo.engine import duckdb_engine, read_parquet, write
from feature_repo.items_as_of import items_as_of
from feature_repo.on_demand import request_features
from segue.files import write_json

BLOCK = 500_000  # examples per join: each join costs Feast half a second before it begins
CHUNK = 125_000  # examples held in memory with their histories, about 1 kB each
DAY_US = transformations.DAY_SECONDS * 1_000_000
NEGATIVE_INSTANTS = 8  # instants of the train span at which negatives get their statistics
# Columns that `negatives.parquet` leaves out, because the models' catalogue has them by item id.
CONTENT = ("creator_id", "content_type", "language", "duration_s", "genre_weights", "text", "markets")
REQUEST_SOURCES = ("genre_shares", "genre_weights", "release_ts")  # joined inputs of `request_features`


def joined_features(store: FeatureStore) -> list[str]:
    """Return the references of the features that Feast joins: those of all feature services, but for `ONLINE_ONLY`."""
    views = {p.name: p for s in store.list_feature_services() for p in s.feature_view_projections}
    return sorted(f"{n}:{f.name}" for n, p in views.items() if n not in ONLINE_ONLY for f in p.features)


def point_in_time_join(store: FeatureStore, keys: pa.Table, features: list[str]) -> pa.Table:
    """Join features to examples as of each example's time, through Feast.

    Args:
        store: the feature store.
        keys: `user_id`, `item_id`, `ts`.
        features: references, `view:feature`. An on-demand feature needs its sources (`REQUEST_SOURCES`) among them.

    Returns:
        One column per feature, rows in the order of `keys`.
    """
    micros = keys["ts"].cast(pa.int64()).to_numpy()
    # Snapshots are stamped at midnight, so all examples later on the same day see the same snapshots. The day's
    # first microsecond stands for all of them: Feast then joins each entity once per day, not once per example.
    instants = np.minimum(micros, micros - micros % DAY_US + 1)
    views = {view.name: view.join_keys for view in store.list_batch_feature_views()}
    columns: dict[str, pa.Array] = {}
    for key in ("user_id", "item_id"):
        references = [f for f in features if views.get(f.split(":")[0]) == [key]]
        if references:
            joined = join_entities(store, keys.select([key]), instants, references)
            columns |= zip(joined.column_names, joined.columns, strict=True)
    if any(f.split(":")[0] not in views for f in features):
        inputs = pa.table({name: columns[name] for name in REQUEST_SOURCES}).to_pandas()
        on_demand = request_features(inputs.assign(request_ts=micros // 1_000_000))
        columns |= {name: pa.array(column) for name, column in on_demand.items()}
    return pa.table({name: columns[name] for name in (f.split(":")[1] for f in features)})


def join_entities(store: FeatureStore, ids: pa.Table, instants: np.ndarray, features: list[str]) -> pa.Table:
    """Join features to pairs of an entity and an instant. Feast joins each distinct pair once.

    Args:
        store: the feature store.
        ids: one column, named as the join key.
        instants: the instant of each row, in microseconds since 1970 UTC.
        features: references to features of that entity type.

    Returns:
        One column per feature, rows in the order of `ids`.
    """
    (key,) = ids.column_names
    encoded = ids[key].combine_chunks().dictionary_encode()
    instant_codes, unique_instants = pd.factorize(instants)
    pair_codes = encoded.indices.to_numpy().astype(np.int64) * len(unique_instants) + instant_codes
    pair_of_row, pairs = pd.factorize(pair_codes)
    entity_of_pair, instant_of_pair = np.divmod(pairs, len(unique_instants))
    entities = pd.DataFrame({
        key: encoded.dictionary.take(pa.array(entity_of_pair)),
        "event_timestamp": pd.to_datetime(unique_instants[instant_of_pair], unit="us", utc=True),
        "pair": np.arange(len(pairs)),
    })  # fmt: skip
    joined = store.get_historical_features(entity_df=entities, features=features).to_arrow()
    position = np.argsort(joined["pair"])  # Feast returns the pairs in any order
    return joined.select([f.split(":")[1] for f in features]).take(pa.array(position[pair_of_row]))


def histories(rows: pa.Table, listeners: pa.Table) -> dict[str, pa.ListArray]:
    """Return the history columns of `transformations.histories`, gathered in Arrow.

    A join would first copy a listener's whole sequence to each of the listener's rows.

    Args:
        rows: `user_id`, and `n_before`, the number of the listener's interactions before the row.
        listeners: `transformations.sequences` of the log.
    """
    users, *sequences = (listeners[name].combine_chunks() for name in ("user_id", "items", "actions", "times"))
    start = sequences[0].offsets.to_numpy()[pc.fill_null(pc.index_in(rows["user_id"], users), 0).to_numpy()]
    end = start + rows["n_before"].to_numpy()
    length = np.minimum(end - start, transformations.HISTORY)
    bounds = np.concatenate([[0], np.cumsum(length)]).astype(np.int32)
    entry = np.arange(bounds[-1], dtype=np.int32) + np.repeat(end - bounds[1:], length)
    return {
        name: pa.ListArray.from_arrays(bounds, sequence.values.take(pa.array(entry)))
        for name, sequence in zip(("history_items", "history_actions", "history_times"), sequences, strict=True)
    }


def example_rows(events: ibis.Table, items: ibis.Table) -> ibis.Table:
    """Return the labelled examples with their event-level counts (`transformations.recent`), in order of time.

    The labels need each item's duration from `items`.
    """
    labelled = examples(events, items)
    counted = labelled.left_join(transformations.recent(events), "event_id").drop("event_id_right")
    return counted.order_by("ts", "event_id")


def chunks(ingested: Path, store: FeatureStore) -> Iterator[pa.Table]:
    """Yield the training set of an ingested log in order of time, in tables of at most `CHUNK` rows."""
    with duckdb_engine() as engine, TemporaryDirectory(prefix="segue-training-") as folder:
        spill = Path(folder) / "examples.parquet"
        events = read_parquet(engine, ingested / "events.parquet")
        write(example_rows(events, read_parquet(engine, ingested / "items.parquet")), spill)
        listeners = engine.to_pyarrow(transformations.sequences(events))
        for block in ahead(blocks(spill, store)):
            for first in range(0, block.num_rows, CHUNK):
                rows = block.slice(first, CHUNK)
                lists = histories(rows, listeners)
                yield pa.table({**dict(zip(rows.column_names, rows.columns, strict=True)), **lists}).drop_columns(
                    "n_before"
                )


def blocks(path: Path, store: FeatureStore) -> Iterator[pa.Table]:
    """Yield the `example_rows` in a file, joined with their features, in tables of at most `BLOCK` rows."""
    features = joined_features(store)
    for batch in pq.ParquetFile(path).iter_batches(BLOCK):
        rows = pa.Table.from_batches([batch])
        joined = point_in_time_join(store, rows, features)
        yield pa.table([*rows.columns, *joined.columns], names=[*rows.column_names, *joined.column_names])


def ahead(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Compute each table in a thread while the caller still works on the previous one."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        upcoming = thread.submit(next, tables, None)
        while (table := upcoming.result()) is not None:
            upcoming = thread.submit(next, tables, None)
            yield table


def parquet_writer(path: Path, columns: pa.Schema) -> pq.ParquetWriter:
    """Open a writer for a part of the training set. Parts are read as a whole, so they need no statistics."""
    # Without dictionaries, zstd writes files of the same size in two thirds of the time.
    return pq.ParquetWriter(path, columns, compression="zstd", use_dictionary=False, write_statistics=False)


def write_training_set(ingested: Path, store: FeatureStore, split: Split, out: Path) -> dict[str, int]:
    """Write the training set to `out/{train,validation,test}.parquet`, cut by global time.

    Args:
        ingested: a folder with `events.parquet` and `items.parquet`.
        store: a store whose feature tables were built from that log.
        split: the cut by time that all models share.
        out: an existing folder.

    Returns:
        The number of rows of each part.
    """
    starts = pa.array([split.start, split.train_end, split.validation_end], schema.TIMESTAMP).cast(pa.int64())
    rows = dict.fromkeys(SPANS, 0)
    with ExitStack() as stack:
        writers: dict[str, pq.ParquetWriter] = {}
        for chunk in chunks(ingested, store):
            bounds = np.searchsorted(chunk["ts"].cast(pa.int64()), starts)
            for name, first, end in zip(SPANS, bounds, [*bounds[1:], chunk.num_rows], strict=True):
                if name not in writers:
                    writers[name] = stack.enter_context(parquet_writer(out / f"{name}.parquet", chunk.schema))
                writers[name].write_table(chunk.slice(first, end - first))
                rows[name] += int(end - first)
    return rows


def write_sequences(ingested: Path, split: Split, path: Path) -> None:
    """Write the listeners' sequences in the train span (`transformations.requested_sequences`), sorted by listener."""
    with duckdb_engine() as engine:
        events = read_parquet(engine, ingested / "events.parquet")
        past = without_fallbacks(events).filter(_.ts < ibis.literal(split.train_end, type=transformations.TIMESTAMP))
        write(transformations.requested_sequences(past).order_by("user_id"), path)


def negatives(tables: Path, split: Split) -> pa.Table:
    """Return the rows that uniform negatives are drawn from: released items at instants spread over the train span.

    Args:
        tables: a folder that `feature_repo.build` wrote.
        split: the cut by time that all models share.

    Returns:
        `item_id` and the item's statistics as of the instant, one row per instant and item released by then.
    """
    span = split.train_end - split.start
    parts = []
    for step in range(1, NEGATIVE_INSTANTS + 1):
        instant = split.start + step / NEGATIVE_INSTANTS * span
        items = items_as_of(tables, instant)
        released = items.filter(pc.less_equal(items["release_ts"], int(instant.timestamp())))
        parts.append(released.select([name for name in released.column_names if name not in CONTENT]))
    return pa.concat_tables(parts)


def make_training_set(store: FeatureStore, ingested: Path, tables: Path, out: Path) -> dict:
    """Write a run's training set in a new folder.

    The folder holds the parts (`train`, `validation`, `test`), the catalogue as of the start of validation
    (`items_at_validation`), the start of the test span (`items_at_test`) and the newest snapshot (`items_now`), the
    `negatives`, the listeners' `sequences` in the train span, and `manifest.json`.

    Args:
        store: a store whose feature tables are `tables`.
        ingested: a folder that `events.ingest` wrote.
        tables: a folder that `feature_repo.build` wrote from `ingested`.
        out: the folder to write; it must not exist.

    Returns:
        The manifest: that of the data set, with the `rows` of each part, the `genres` and the `content_types`.

    Raises:
        InputError: a part has no positive example.
    """
    split = read_split(ingested)
    out.mkdir(parents=True)
    rows = write_training_set(ingested, store, split, out)
    for name in rows:
        if not pc.any(pq.read_table(out / f"{name}.parquet", columns=["positive"])["positive"]).as_py():
            raise request_joins.with_cause(
                f"Each part needs a positive example; the {name} part has none in {rows[name]} rows.",
                "Check how actions were mapped (`segue data describe`), or import a longer log.",
                pq.read_table(ingested / "events.parquet"),
            )
    built = load_manifest(tables)
    newest = datetime.fromtimestamp((built["last_day"] + 1) * transformations.DAY_SECONDS, UTC)
    catalogues = {"items_at_validation": split.train_end, "items_at_test": split.validation_end, "items_now": newest}
    for name, instant in catalogues.items():
        pq.write_table(items_as_of(tables, instant), out / f"{name}.parquet", compression="zstd")
    pq.write_table(negatives(tables, split), out / "negatives.parquet", compression="zstd")
    write_sequences(ingested, split, out / "sequences.parquet")
    vocabularies = {name: built[name] for name in ("genres", "content_types")}
    manifest = {**read_manifest(ingested), "rows": rows, **vocabularies}
    write_json(out / "manifest.json", manifest)
    return manifest

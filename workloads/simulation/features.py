"""The features of a simulated day: refreshed before it, and afterwards held against the point-in-time join."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from events import dataset, schema
from events.ingest import ingest
from events.journal.joins import EXPOSURE
from events.labels import FEATURES
from feature_repo import training, transformations
from feature_repo.build import build
from feature_repo.engine import duckdb_engine, read_parquet
from feature_repo.feast_store import publish, store_over
from feature_repo.online import HISTORY_COLUMNS, SESSION_COLUMNS, USER_VIEWS, refresh
from models.training_config import TrainingConfig
from segue.settings import Home
from surfaces.hydrate import Features, fingerprint, newest_first


def refresh_features(home: Home, now: datetime) -> None:
    """Bring the collected log online, as the training pipeline does, so that a day is served with the day before it.

    Args:
        home: the home.
        now: the start of the day; the log is complete until then.
    """
    with built(home, now) as (log, tables):
        publish(home, tables)
        refresh(home, log, tables)


def compared_features(home: Home, since: datetime, now: datetime) -> dict[str, int]:
    """Compare the features that pages were decided with, by their fingerprints, with the join that training makes.

    Args:
        home: the home, whose journal is collected.
        since: the time from which pages count.
        now: the instant up to which the log is complete.

    Returns:
        `requests`, the number of pages with an impression that were served with features; `different`, how many of them
        the join gives other features.
    """
    decisions = served(dataset.load(home.data).events(), since)
    if not decisions:
        return {"requests": 0, "different": 0}
    with built(home, now) as (log, tables):
        joined = joined_features(log, tables, list(decisions))
    different = sum(fingerprint(joined[event_id]) != features for event_id, features in decisions.items())
    return {"requests": len(decisions), "different": different}


def served(events: pa.Table, since: datetime) -> dict[str, str]:
    """Return the fingerprint of each page that was served with features, by the event id of its first impression."""
    shown = events.filter((pc.field("action") == schema.IMPRESSION) & (pc.field("ts") >= since))
    decisions: dict[str, tuple[str, str]] = {}  # by request
    for row in shown.select(["event_id", "request_id", EXPOSURE.name]).to_pylist():
        exposure = row[EXPOSURE.name] or {}
        if exposure.get("features") and FEATURES not in exposure["degraded"]:
            decisions.setdefault(row["request_id"], (row["event_id"], exposure["features"]))
    return dict(decisions.values())


def joined_features(log: Path, tables: Path, event_ids: list[str]) -> dict[str, Features]:
    """Return the listener's and the session's features that training joins to some events, by event id.

    Args:
        log: a folder that `events.ingest` wrote.
        tables: the feature tables of that log.
        event_ids: ids of impressions.
    """
    with store_over(tables) as store, duckdb_engine() as engine:
        events = read_parquet(engine, log / "events.parquet")
        wanted = events.filter(_.event_id.isin(event_ids)).select("event_id", "user_id", "item_id", "ts")
        counted = wanted.inner_join(transformations.recent(events), "event_id").order_by("ts", "event_id")
        rows = engine.to_pyarrow(counted)
        lists = training.histories(rows, engine.to_pyarrow(transformations.sequences(events)))
        of_listeners = [name for name in training.joined_features(store) if name.split(":")[0] in USER_VIEWS]
        joined = training.point_in_time_join(store, rows, of_listeners)
    table = pa.table({
        **{name: joined[name] for name in joined.column_names},
        **{name: lists[name] for name in HISTORY_COLUMNS},
        **{name: rows[name] for name in SESSION_COLUMNS},
    })  # fmt: skip
    return {
        event_id: newest_first(features)
        for event_id, features in zip(rows["event_id"].to_pylist(), table.to_pylist(), strict=True)
    }


@contextmanager
def built(home: Home, now: datetime) -> Iterator[tuple[Path, Path]]:
    """Copy the data set and build its feature tables, in folders that last as long as the body."""
    with TemporaryDirectory(prefix="segue-features-") as folder:
        log, tables = Path(folder) / "log", Path(folder) / "tables"
        ingest(home.data, log, TrainingConfig().split)
        build(log, tables, now)
        yield log, tables

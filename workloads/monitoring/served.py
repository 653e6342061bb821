"""The features that pages were served with, beside those that training joins to the same requests."""

from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds
import pyarrow.parquet as pq
from ibis import _

from events import schema
from events.dataset import load
from feature_repo import training, transformations
from feature_repo.build import build
from feature_repo.engine import duckdb_engine, read_parquet
from feature_repo.feast_store import published_axes, store_over
from feature_repo.online import HISTORY_COLUMNS, SESSION_COLUMNS, USER_VIEWS
from segue.settings import Home
from surfaces.hydrate import Features, as_text, newest_first


def served_and_joined(
    home: Home, start: datetime, end: datetime, until: datetime
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what the requests of a time were served with, and what training joins to them.

    Args:
        home: The home, whose data set has the sample of served features.
        start, end: The time of the requests.
        until: The instant up to which the log is complete.

    Returns:
        For each request of which an item was seen, the features by name; an unknown one is left out.
    """
    tables = load(home.data)
    inside = (pc.field("ts") >= start) & (pc.field("ts") < end)
    pages = tables.served().filter(inside)
    requests = dict(zip(pages["request_id"].to_pylist(), pages["served"].to_pylist(), strict=True))
    if not requests:
        return [], []
    of_them = inside & (pc.field("action") == schema.IMPRESSION) & pc.field("request_id").isin(list(requests))
    shown = pds.dataset(tables.events_files).to_table(["event_id", "user_id", "request_id"], filter=of_them)
    first = dict(zip(shown["request_id"].to_pylist(), shown["event_id"].to_pylist(), strict=True))  # any of a page
    joined = joined_texts(home, shown.filter(pc.is_in(shown["event_id"], pa.array(first.values()))), until)
    return [orjson.loads(requests[name]) for name in first], [orjson.loads(joined[event]) for event in first.values()]


def joined_texts(home: Home, shown: pa.Table, until: datetime) -> dict[str, str]:
    """Return the features that training joins to impressions, as `surfaces.hydrate.as_text`, by event id.

    Only their listeners' events are read and built: a listener's features depend on no other listener. The vocabularies
    are those that the served models know.

    Args:
        home: The home, whose features are published.
        shown: `event_id` and `user_id` of the impressions.
        until: The instant up to which the log is complete.
    """
    tables, listeners = load(home.data), pc.unique(shown["user_id"])
    with TemporaryDirectory(prefix="segue-features-") as folder:
        log, built = Path(folder) / "log", Path(folder) / "tables"
        log.mkdir()
        theirs = pds.dataset(tables.events_files).to_table(filter=pc.field("user_id").isin(listeners))
        for name, table in (("events", theirs), ("items", tables.items), ("users", tables.users)):
            pq.write_table(table, log / f"{name}.parquet")
        build(log, built, until, published_axes(home))
        joined = joined_features(log, built, shown["event_id"].to_pylist())
    return {event_id: as_text(features) for event_id, features in joined.items()}


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

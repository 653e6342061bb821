"""Delete a listener from the log, the feature tables and the online store, and say what remains."""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from events.forget import forget as forget_events
from feature_repo import cluster_store
from feature_repo.feast_store import TABLES, embedded_store, published_tables, shared
from feature_repo.online import USER_VIEWS
from segue.errors import InputError
from segue.files import atomic_path
from segue.lock import locked
from segue.settings import Home
from stores import folders, parts
from stores.s3 import Bucket
from stores.settings import settings

ENTITY_KEY_VERSION = 3  # as in feature_store.yaml


def forget(home: Home, user_id: str, now: datetime) -> dict:
    """Delete a listener from a home.

    No run is at work meanwhile, because it would write the listener's features again.

    Args:
        home: the home.
        user_id: the listener.
        now: the time now, for those who wait for the lock.

    Returns:
        `user`; `deleted`, the rows by table; `online`, whether the online store had the listener; `remains`, a sentence
        for each place that still knows the listener.

    Raises:
        InputError: no data set has been imported, or nothing knows the listener.
        UnavailableError: a run is at work.
    """
    with locked(home.lock, "segue data forget", now):
        deleted = parts.change(home, parts.DATA, lambda: forget_events(home.data, user_id))
        online = forget_online(home, user_id)
        forget_tables(home, user_id)
    if not any(deleted.values()) and not online:
        raise InputError(
            f"Only a listener of the imported log or the online store can be forgotten. {user_id!r} is in neither.",
            "Check the id against the column user_id of the events.",
        )
    remains = []
    if any(home.models.glob("*/*/saved_model.pb")):
        remains.append(
            f"The weights and warm-up requests of the models in {home.models}, until later runs replace them."
        )
    remains += [f"The log and the tables of an earlier run; remove {run}." for run in sorted(home.runs.glob("*"))]
    return {"user": user_id, "deleted": deleted, "online": online, "remains": remains}


def forget_online(home: Home, user_id: str) -> bool:
    """Delete a listener's rows from the online store, and return whether it knew the listener."""
    key = serialize_entity_key(
        EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=user_id)]), ENTITY_KEY_VERSION
    )
    if (now := settings()).clustered:
        return cluster_store.forget(now, shared()["project"], key)
    path = Path(embedded_store(home).config.online_store.path)
    known = False
    if path.is_file():
        with closing(sqlite3.connect(path)) as live, live:
            for view in USER_VIEWS:
                if live.execute("select 1 from sqlite_master where name = ?", [f"segue_{view}"]).fetchone():
                    known |= live.execute(f'delete from "segue_{view}" where entity_key = ?', [key]).rowcount > 0
    return known


def forget_tables(home: Home, user_id: str) -> None:
    """Delete a listener's rows from the published feature tables."""
    now = settings()
    bucket = Bucket.at(str(now.objects), now) if now.clustered else None
    for view in USER_VIEWS:
        file = published_tables(home) / f"{view}.parquet"
        if bucket and any(bucket.list(f"{TABLES}/{file.name}")):
            file.parent.mkdir(parents=True, exist_ok=True)
            bucket.get_file(f"{TABLES}/{file.name}", file)
        if file.is_file():
            table = pq.read_table(file)
            with atomic_path(file) as temporary:
                pq.write_table(table.filter(pc.not_equal(table["user_id"], user_id)), temporary, compression="zstd")
            if bucket:
                bucket.put_file(f"{TABLES}/{file.name}", file, folders.sha256(file))

"""Delete a listener from the journal, the log, the feature tables and the online store, and say what remains."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from feast.infra.key_encoding_utils import deserialize_entity_key, serialize_entity_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from events.dataset import identity, load
from events.forget import forget as forget_events
from events.journal.journal import forget as forget_journal
from feature_repo.feast_store import TABLES, embedded_store, published_tables, rename_log, shared
from feature_repo.online import USER_VIEWS
from feature_repo.storage import cluster
from segue.errors import InputError
from segue.files import atomic_path
from segue.lock import locked
from segue.settings import Home
from stores import folders, parts
from stores.s3 import Bucket
from stores.settings import settings

SESSIONS = "session_context"
ENTITY_KEY_VERSION = 3  # as in feature_store.yaml


def forget(home: Home, user_id: str, now: datetime) -> dict:
    """Delete a listener from a home.

    No run is at work in this home meanwhile, because it would write the listener's features again. A run on Kubeflow
    may: it has the log that it began with. `remains` says so, and the listener can be forgotten again after its end.

    Args:
        home: the home.
        user_id: the listener.
        now: the time now, for those who wait for the lock.

    Returns:
        `user`; `deleted`, the rows by table and the records of the journal; `online`, whether the online store had the
        listener; `remains`, a sentence for each place that still knows the listener.

    Raises:
        InputError: no data set has been imported, or nothing knows the listener.
        UnavailableError: a run is at work.
    """
    with locked(home.lock, "segue data forget", now):
        parts.bring(home, parts.DATA, parts.MODELS)
        tables = load(home.data)
        log = tables.events()
        theirs = pc.equal(log["user_id"], user_id)
        sessions, others = (set(log["session_id"].filter(rows).to_pylist()) for rows in (theirs, pc.invert(theirs)))
        records = forget_journal(home, settings(), user_id)  # first, so that a collection brings nothing back
        deleted = parts.change(home, parts.DATA, lambda: forget_events(home.data, user_id))
        rename_log(home, identity(tables.manifest), identity(load(home.data).manifest))
        deleted["journal"] = records
        online = forget_features(home, user_id)
        if any(deleted.values()) or online:
            forget_sessions(home, others - sessions)
    if not any(deleted.values()) and not online:
        raise InputError(
            "Only a listener of the imported log, the journal or the online store can be forgotten. "
            f"{user_id!r} is in none.",
            "Check the id against the column user_id of the events.",
        )
    return {"user": user_id, "deleted": deleted, "online": online, "remains": remains(home)}


def remains(home: Home) -> list[str]:
    """Return a sentence for each place that may still know a forgotten listener."""
    places = []
    if any(home.models.glob("*/*/saved_model.pb")):
        places.append(
            f"The weights and warm-up requests of the models in {home.models}, until later runs replace them."
        )
    places += [f"The log and the tables of an earlier run; remove {run}." for run in sorted(home.runs.glob("*"))]
    if (now := settings()).clustered:
        places += [
            f"Earlier revisions of the log in {now.objects}/{parts.DATA}, until ten later ones and a day have passed.",
            "The log and the tables in the artifacts of runs on Kubeflow; remove them there. A run at work brings"
            " the listener's features online again; forget the listener again after its end.",
        ]
    return places


def forget_features(home: Home, user_id: str) -> bool:
    """Delete a listener's rows from the online store and from the published feature tables.

    Returns:
        Whether the online store knew the listener.
    """
    key = serialize_entity_key(
        EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=user_id)]), ENTITY_KEY_VERSION
    )
    for view in USER_VIEWS:
        filter_published(home, view, lambda table: pc.not_equal(table["user_id"], user_id))
    # The online store comes last: if this process is killed before, the listener is still known and can be forgotten.
    return sum([delete_online(home, view, lambda stored: stored == key) for view in USER_VIEWS]) > 0


def forget_sessions(home: Home, kept: set[str]) -> None:
    """Delete all sessions but those of other listeners from the online store and the published feature tables.

    A session does not say whose it is. One that was pushed after the log ended may be the forgotten listener's, so it
    is deleted too, and its counts begin again.

    Args:
        home: the home.
        kept: sessions that the log has of other listeners alone.
    """

    def is_kept(key: bytes) -> bool:
        return deserialize_entity_key(key, ENTITY_KEY_VERSION).entity_values[0].string_val in kept

    delete_online(home, SESSIONS, lambda key: not is_kept(key))
    filter_published(home, SESSIONS, lambda table: pc.is_in(table["session_id"], pa.array(list(kept), pa.string())))


def delete_online(home: Home, view: str, gone: Callable[[bytes], bool]) -> int:
    """Delete the rows of a view whose key is gone from the online store; return their number."""
    if (now := settings()).clustered:  # where an entity has one key for all its views
        join_key = "session_id" if view == SESSIONS else "user_id"
        return cluster.delete(now, shared()["project"], join_key, gone)
    path, table = Path(embedded_store(home).config.online_store.path), f"segue_{view}"
    if not path.is_file():
        return 0
    with closing(sqlite3.connect(path)) as live, live:
        if not live.execute("select 1 from sqlite_master where name = ?", [table]).fetchone():
            return 0
        keys = [key for key in live.execute(f'select distinct entity_key from "{table}"') if gone(key[0])]
        return live.executemany(f'delete from "{table}" where entity_key = ?', keys).rowcount if keys else 0


def filter_published(home: Home, view: str, kept: Callable[[pa.Table], pa.ChunkedArray]) -> None:
    """Write a published feature table again with the rows that are kept."""
    file, now = published_tables(home) / f"{view}.parquet", settings()
    bucket, key = Bucket.at(str(now.objects), now) if now.clustered else None, f"{TABLES}/{view}.parquet"
    if bucket and any(bucket.list(key)):
        file.parent.mkdir(parents=True, exist_ok=True)
        bucket.get_file(key, file)
    if file.is_file():
        table = pq.read_table(file)
        with atomic_path(file) as temporary:
            pq.write_table(table.filter(kept(table)), temporary, compression="zstd")
        if bucket:
            bucket.put_file(key, file, folders.sha256(file))

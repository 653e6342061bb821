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
from feature_repo.feast_store import open_store, published_tables
from feature_repo.online import USER_VIEWS
from segue.errors import InputError
from segue.files import atomic_path
from segue.lock import locked
from segue.settings import Home

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
        deleted = forget_events(home.data, user_id)
        online = forget_features(home, user_id)
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


def forget_features(home: Home, user_id: str) -> bool:
    """Delete a listener's rows from the online store and from the published feature tables.

    Returns:
        Whether the online store knew the listener.
    """
    for view in USER_VIEWS:
        file = published_tables(home) / f"{view}.parquet"
        if file.is_file():
            table = pq.read_table(file)
            with atomic_path(file) as temporary:
                pq.write_table(table.filter(pc.not_equal(table["user_id"], user_id)), temporary, compression="zstd")
    # The online store comes last: if this process is killed before, the listener is still known and can be forgotten.
    path = Path(open_store(home).config.online_store.path)
    known = False
    if path.is_file():
        key = serialize_entity_key(
            EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=user_id)]), ENTITY_KEY_VERSION
        )
        with closing(sqlite3.connect(path)) as live, live:
            for view in USER_VIEWS:
                if live.execute("select 1 from sqlite_master where name = ?", [f"segue_{view}"]).fetchone():
                    known |= live.execute(f'delete from "segue_{view}" where entity_key = ?', [key]).rowcount > 0
    return known

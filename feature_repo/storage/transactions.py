"""Changes of online rows in one transaction: read, extended and written, whoever else writes to the same store."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any

from feast import FeatureStore
from feast.infra.online_stores.helpers import _mmh3, _redis_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from feature_repo.storage import cluster
from segue.errors import UnavailableError
from stores.settings import settings

Row = tuple[EntityKey, dict[str, Value], datetime, datetime | None]  # entity, values, stamp, time of writing
Rows = list[tuple[Any, list[Row]]]  # by view, as Feast writes them
Change = Callable[[Sequence[EntityKey], Callable[[], Rows]], None]


@contextmanager
def faults(store: FeatureStore) -> Iterator[None]:
    """Raise the errors of an online store, embedded or on a server, as errors for people.

    Raises:
        InputError: the online store refuses.
        UnavailableError: the online store does not answer.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise UnavailableError(
            f"The online store does not answer: {error}.", "Check the disk, and try again later."
        ) from error
    except Exception:
        if store.config.online_store.type != "redis":
            raise
        with cluster.faults(settings()):
            raise


def changes(store: FeatureStore) -> Change:
    """Return a function that changes rows of an online store in one transaction.

    The function takes the entities whose rows may change, and a step that reads them and returns the rows to write. It
    calls the step again if another process has changed one of the entities meanwhile.

    SQLite is put in WAL mode, in which readers and the writer do not wait for each other; a power cut may then cost the
    last changes.

    Raises:
        sqlite3.Error: the file cannot be opened, or is no database.
    """
    return on_redis(store) if store.config.online_store.type == "redis" else on_sqlite(store)


class Transaction(sqlite3.Connection):
    """A connection whose outermost `with` is the transaction, because Feast commits each view's rows by its own."""

    depth = 0

    def __enter__(self) -> "Transaction":
        """Begin to write, once no other process writes."""
        if not self.depth:
            self.execute("begin immediate")
        self.depth += 1
        return self

    def __exit__(self, *error: Any) -> Any:
        """Commit or roll back at the end of the outermost `with`."""
        self.depth -= 1
        return None if self.depth else super().__exit__(*error)


def on_sqlite(store: FeatureStore) -> Change:
    """See `changes`: one process writes to a file at a time."""
    provider = store._get_provider()
    online: Any = provider.online_store
    kinds = sqlite3.PARSE_DECLTYPES | sqlite3.PARSE_COLNAMES  # Feast reads times by their declared type
    path = online._get_db_path(store.config)
    connection = sqlite3.connect(path, detect_types=kinds, check_same_thread=False, factory=Transaction)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")
    online._conn = connection

    def change(entities: Sequence[EntityKey], step: Callable[[], Rows]) -> None:
        with connection:
            for view, rows in step():
                provider.online_write_batch(store.config, view, rows, progress=None)

    return change


def on_redis(store: FeatureStore) -> Change:
    """See `changes`: the server writes only if the entities are as they were before they were read.

    The rows have Feast's form. Feast's own write is no transaction, and it leaves out a row without a later stamp.
    """
    online: Any = store._get_provider().online_store
    client = online._get_client(store.config.online_store)

    def key(entity: EntityKey) -> bytes:
        return _redis_key(store.config.project, entity, store.config.entity_key_serialization_version)

    def fields(view: Any, values: dict[str, Value], stamp: datetime) -> dict[Any, bytes]:
        written = Timestamp()
        written.FromDatetime(stamp)
        columns = {_mmh3(f"{view.name}:{name}"): value.SerializeToString() for name, value in values.items()}
        return {f"_ts:{view.name}": written.SerializeToString(), **columns}

    def change(entities: Sequence[EntityKey], step: Callable[[], Rows]) -> None:
        from redis.exceptions import WatchError

        with closing(client.pipeline()) as pipeline:
            while True:
                pipeline.watch(*map(key, entities))
                written = step()
                pipeline.multi()
                for view, rows in written:
                    for entity, values, stamp, _ in rows:
                        pipeline.hset(key(entity), mapping=fields(view, values, stamp))
                try:
                    pipeline.execute()
                    return
                except WatchError:
                    continue

    return change

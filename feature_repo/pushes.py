"""Pushes: interactions extend the online histories of listeners and the counts of sessions."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from feast import FeatureStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Int64List, StringList, Value

from events import schema
from feature_repo import transformations
from feature_repo.storage import cluster
from segue.errors import InputError, UnavailableError
from stores.settings import settings

HISTORY_COLUMNS = ("history_items", "history_actions", "history_times")
SESSION_COLUMNS = ("session_plays", "session_skips")
Row = tuple[EntityKey, dict[str, Value], datetime, datetime | None]  # entity, values, stamp, time of writing


@dataclass(frozen=True)
class Interaction:
    """One interaction to push, at an instant `ts` with a time zone; `session_id` is None outside of sessions.

    Raises:
        InputError: the schema does not know the action, or the time has no zone.
    """

    user_id: str
    item_id: str
    action: str
    ts: datetime
    session_id: str | None

    def __post_init__(self) -> None:
        if self.action not in schema.ACTIONS:
            raise InputError(
                f"An action is one of {', '.join(schema.ACTIONS)}. Received {self.action!r}.", "Map it to one of these."
            )
        if self.ts.tzinfo is None:
            raise InputError(f"An interaction's time needs a time zone. Received {self.ts}.", "Give it in UTC.")


@dataclass
class History:
    """A listener's online history while a push extends it: its columns, oldest entry first, and its stamp."""

    columns: dict[str, list]
    stamp: datetime

    def append(self, new: Interaction) -> InputError | None:
        """Add an interaction as the newest entry, or return why it is refused: it is older than the newest entry."""
        times = self.columns["history_times"]
        seconds, newest = int(new.ts.timestamp()), max(times, default=0)
        if seconds < newest:
            return InputError(
                f"Interactions of one listener come in order of time. The newest one of {new.user_id!r} is of "
                f"{datetime.fromtimestamp(newest, UTC)}. Received one of {new.ts}.",
                "Push a listener's interactions from one process, oldest first; the next refresh adds late ones.",
            )
        for name, value in zip(HISTORY_COLUMNS, (new.item_id, new.action, seconds), strict=True):
            self.columns[name] = [*self.columns[name], value][-transformations.HISTORY :]
        self.stamp = after(self.stamp, new.ts)
        return None

    def values(self) -> dict[str, Value]:
        """The columns as Feast stores them."""
        return {
            "history_items": Value(string_list_val=StringList(val=self.columns["history_items"])),
            "history_actions": Value(string_list_val=StringList(val=self.columns["history_actions"])),
            "history_times": Value(int64_list_val=Int64List(val=self.columns["history_times"])),
        }


class Pusher:
    """Pushes interactions to one feature store; several threads need a pusher with a store each.

    It reads and writes the rows by Feast's provider, for all interactions of a call at once. `FeatureStore.push` builds
    a data frame, reads the registry again and commits for each row. The rows are the same.

    Args:
        store: an open store. SQLite is put in WAL mode, in which readers and the writer do not wait for each other;
            a power cut may then cost the last pushes, which the next refresh brings back.
    """

    def __init__(self, store: FeatureStore) -> None:
        self._config, self._provider = store.config, store._get_provider()
        self._history, self._session = (store.get_feature_view(name) for name in ("user_history", "session_context"))
        self._settings = settings()
        if store.config.online_store.type == "sqlite":
            online: Any = self._provider.online_store
            with self._faults():
                connection = online._get_conn(store.config)
                connection.execute("pragma journal_mode=wal")
                connection.execute("pragma synchronous=normal")

    def extend(self, interactions: Sequence[Interaction]) -> list[InputError | None]:
        """Extend the histories of listeners in the order given, in one transaction. An impression changes nothing.

        Returns:
            For each interaction None, or why it was refused: it is older than its listener's newest interaction.

        Raises:
            InputError: the online store refuses.
            UnavailableError: the online store does not answer, and nothing was written.
        """
        taken = [new for new in interactions if new.action in schema.INTERACTIONS]
        with self._faults():
            histories = self._histories(list(dict.fromkeys(new.user_id for new in taken)))
            refusals = {id(new): histories[new.user_id].append(new) for new in taken}
            users = dict.fromkeys(new.user_id for new in taken if refusals[id(new)] is None)
            rows: list[Row] = [
                (key("user_id", user), histories[user].values(), histories[user].stamp, None) for user in users
            ]
            self._write(self._history, rows)
        return [refusals.get(id(new)) for new in interactions]

    def count(self, interactions: Sequence[Interaction]) -> None:
        """Count the plays and skips of sessions further, in one transaction, with what `extend` has accepted.

        Raises: as `extend`.
        """
        taken = [new for new in interactions if new.action in schema.INTERACTIONS and new.session_id is not None]
        with self._faults():
            self._write(self._session, self._counts(taken))

    def _histories(self, users: list[str]) -> dict[str, History]:
        """The online histories of some listeners."""
        return {
            user: History({name: list(stored_list(row.get(name))) for name in HISTORY_COLUMNS}, stamp)
            for user, (stamp, row) in self._read(self._history, "user_id", users, HISTORY_COLUMNS).items()
        }

    def _counts(self, interactions: Sequence[Interaction]) -> list[Row]:
        """The rows of the sessions of some interactions, counted further."""
        sessions = list(dict.fromkeys(str(new.session_id) for new in interactions))
        stored = self._read(self._session, "session_id", sessions, SESSION_COLUMNS)
        stamps = {session: stamp for session, (stamp, _) in stored.items()}
        counts = {
            session: {name: row[name].float_val if name in row else 0.0 for name in SESSION_COLUMNS}
            for session, (_, row) in stored.items()
        }
        for new in interactions:
            session = str(new.session_id)
            counts[session]["session_skips" if new.action == schema.SKIP else "session_plays"] += 1.0
            stamps[session] = after(stamps[session], new.ts)
        return [
            (
                key("session_id", session),
                {name: Value(float_val=n) for name, n in counts[session].items()},
                stamps[session],
                None,
            )
            for session in sessions
        ]

    def _read(
        self, view: Any, join_key: str, ids: list[str], names: Sequence[str]
    ) -> dict[str, tuple[datetime, Mapping[str, Value]]]:
        """The stamp and the stored values of each id; 1970 and none where the view has no row."""
        if not ids:
            return {}
        rows = self._provider.online_read(self._config, view, [key(join_key, value) for value in ids], list(names))
        return {
            value: (stamp or datetime.fromtimestamp(0, UTC), row or {})
            for value, (stamp, row) in zip(ids, rows, strict=True)
        }

    def _write(self, view: Any, rows: list[Row]) -> None:
        """Write rows of one view in one transaction."""
        if rows:
            self._provider.online_write_batch(self._config, view, rows, progress=None)

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Raise the errors of the online store, embedded or on a server, as errors for people."""
        try:
            if self._settings.clustered:
                with cluster.faults(self._settings):
                    yield
            else:
                yield
        except sqlite3.OperationalError as error:
            raise UnavailableError(
                f"The online store does not take a push: {error}.", "Check the disk; the push may be repeated."
            ) from error


def key(join_key: str, value: str) -> EntityKey:
    """The entity of an id, as Feast names it."""
    return EntityKey(join_keys=[join_key], entity_values=[Value(string_val=value)])


def stored_list(value: Value | None) -> Iterable[Any]:
    """The elements of a stored list; none if it is absent or null."""
    kind = value.WhichOneof("val") if value is not None else None
    return getattr(value, kind).val if kind and kind.endswith("_list_val") else ()


def after(stamp: datetime, ts: datetime) -> datetime:
    """The stamp of a row that an interaction at `ts` extends: `ts`, but later than the row's own stamp.

    Redis keeps the old row if the new stamp is not later, and reads stamps back in whole seconds, so that two
    interactions of one second need stamps a second apart.
    """
    return max(ts.astimezone(UTC), stamp.replace(microsecond=0) + timedelta(seconds=1))

"""Pushes: interactions extend the online histories of listeners and the counts of sessions."""

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from feast import FeatureStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Int64List, StringList, Value

from events import schema
from feature_repo import transformations
from feature_repo.storage.transactions import Row, Rows, changes, faults
from segue.errors import InputError

HISTORY_COLUMNS = ("history_items", "history_actions", "history_times")
SESSION_COLUMNS = ("session_plays", "session_skips")


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
    """A listener's online history while a push extends it: its entries, oldest first, and its stamp."""

    entries: list[tuple[str, str, int]]  # item, action, seconds since 1970 UTC
    stamp: datetime

    def insert(self, new: Interaction) -> bool:
        """Put an interaction in its place by time, and return whether the history did not have it.

        A history that is full has had what is as old as its oldest entry.
        """
        entry = (new.item_id, new.action, int(new.ts.timestamp()))
        full = len(self.entries) >= transformations.HISTORY
        if entry in self.entries or (full and entry[2] <= self.entries[0][2]):
            return False
        insort(self.entries, entry, key=lambda one: one[2])
        del self.entries[: -transformations.HISTORY]
        self.stamp = max(self.stamp, new.ts.astimezone(UTC))
        return True

    def values(self) -> dict[str, Value]:
        """The columns as Feast stores them."""
        items, actions, times = zip(*self.entries, strict=True)
        return {
            "history_items": Value(string_list_val=StringList(val=items)),
            "history_actions": Value(string_list_val=StringList(val=actions)),
            "history_times": Value(int64_list_val=Int64List(val=times)),
        }


class Pusher:
    """Pushes interactions to one feature store; several threads need a pusher with a store each.

    It reads and writes the rows by Feast's provider, for all interactions of a call at once. `FeatureStore.push` builds
    a data frame, reads the registry again and commits for each row. The rows are the same.

    Several processes may push for one listener, in any order, and a push may be repeated: an interaction takes its
    place by time, and one that the history has already counts for nothing. Two interactions of a listener with the same
    item, action and second are one.

    Args:
        store: an open store; see `transactions.changes`.

    Raises:
        InputError, UnavailableError: as `extend`.
    """

    def __init__(self, store: FeatureStore) -> None:
        self._config, self._provider = store.config, store._get_provider()
        self._history, self._session = (store.get_feature_view(name) for name in ("user_history", "session_context"))
        self._store = store
        with faults(store):
            self._change = changes(store)

    def extend(self, interactions: Sequence[Interaction]) -> list[bool]:
        """Extend the histories of listeners and the counts of their sessions, in one transaction.

        Returns:
            For each interaction whether it changed its listener's history; an impression never does.

        Raises:
            InputError: the online store refuses.
            UnavailableError: the online store does not answer. The push may be repeated, also if it was written.
        """
        taken = [new for new in interactions if new.action in schema.INTERACTIONS]
        users = list(dict.fromkeys(new.user_id for new in taken))
        sessions = list(dict.fromkeys(new.session_id for new in taken if new.session_id is not None))
        is_new: dict[int, bool] = {}

        def step() -> Rows:
            histories = self._histories(users)
            is_new.update({id(new): histories[new.user_id].insert(new) for new in taken})
            changed = dict.fromkeys(new.user_id for new in taken if is_new[id(new)])
            rows: list[Row] = [
                (key("user_id", user), histories[user].values(), histories[user].stamp, None) for user in changed
            ]
            counted = [new for new in taken if is_new[id(new)] and new.session_id is not None]
            return [(self._history, rows), (self._session, self._counts(counted))]

        if taken:
            entities = [*(key("user_id", user) for user in users), *(key("session_id", one) for one in sessions)]
            with faults(self._store):
                self._change(entities, step)
        return [is_new.get(id(new), False) for new in interactions]

    def _histories(self, users: list[str]) -> dict[str, History]:
        """The online histories of some listeners."""
        return {
            user: History(list(zip(*(stored_list(row.get(name)) for name in HISTORY_COLUMNS), strict=True)), stamp)
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
            stamps[session] = max(stamps[session], new.ts.astimezone(UTC))
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


def key(join_key: str, value: str) -> EntityKey:
    """The entity of an id, as Feast names it."""
    return EntityKey(join_keys=[join_key], entity_values=[Value(string_val=value)])


def stored_list(value: Value | None) -> Iterable[Any]:
    """The elements of a stored list; none if it is absent or null."""
    kind = value.WhichOneof("val") if value is not None else None
    return getattr(value, kind).val if kind and kind.endswith("_list_val") else ()

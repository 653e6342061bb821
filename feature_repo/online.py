"""The online store: refreshed from the snapshots, extended by pushes, read at a request."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from feast import FeatureStore
from feast.data_source import PushMode
from ibis import _

from events import schema
from events.ingest import read_manifest
from events.schema import EARLIEST
from feature_repo import transformations as T
from feature_repo.build import load_manifest
from feature_repo.engine import duckdb_engine
from feature_repo.feast_store import apply, open_store, published_tables
from segue.errors import InputError
from segue.files import read_json, write_json
from segue.settings import Home

USER_VIEWS = ("user_profile", "user_daily", "user_history")
HISTORY_COLUMNS = ("history_items", "history_actions", "history_times")


def refresh(home: Home, ingested: Path, tables: Path) -> dict:
    """Write the newest snapshots online, then push what happened after the last one.

    Histories become the log's: what was pushed online must reach the log before the next refresh. An
    online store that holds another data set is emptied first: its ids mean other people.

    Args:
        home: the home whose feature tables are `tables`.
        ingested: the log that they were built from.
        tables: what `build` wrote.

    Returns:
        `dataset` and `last_event`, also kept beside the store (see `state`).
    """
    manifest = read_manifest(ingested)
    now_online = {"dataset": manifest["dataset"], "last_event": manifest["span"]["last"]}
    store = open_store(home)
    if (home.online_state).is_file() and state(home)["dataset"] != manifest["dataset"]:
        store.teardown()
        store = apply(home, published_tables(home))
    last_day = load_manifest(tables)["last_day"]
    until = datetime.fromtimestamp((last_day + 1) * T.DAY_SECONDS, UTC)
    views = [view.name for view in store.list_batch_feature_views()]
    store.materialize(EARLIEST - timedelta(days=1), until + timedelta(days=1), views, disable_event_timestamp=False)
    with duckdb_engine() as engine:
        events = engine.read_parquet(ingested / "events.parquet")
        done = T.interactions(events)
        late = done.filter(_.day > last_day).group_by("user_id").agg(event_timestamp=_.ts.max())
        counts = done.group_by("user_id").agg(n_before=_.count().cast("int32"))
        today = late.join(counts, "user_id")
        histories = engine.to_pyarrow(T.histories(today, T.sequences(events)).drop("n_before"))
    if histories.num_rows:
        store.push("user_history_push", histories.to_pandas(), to=PushMode.ONLINE)
    write_json(home.online_state, now_online)
    return now_online


def state(home: Home) -> dict:
    """What the online store holds: `dataset`, and the time of its `last_event` (ISO, UTC).

    Raises:
        InputError: nothing is online yet.
    """
    if not (home.online_state).is_file():
        raise InputError("No features are online yet.", "Run `segue run training` first.")
    return read_json(home.online_state)


def push_interaction(
    store: FeatureStore, user_id: str, item_id: str, action: str, ts: datetime, session_id: str | None
) -> None:
    """Extend a listener's online history, and the session's counts, by one interaction.

    An impression changes nothing.

    Raises:
        InputError: an action that the schema does not know, a time without a zone, or one before the listener's newest.
    """
    if action not in schema.ACTIONS:
        raise InputError(f"An action is one of {', '.join(schema.ACTIONS)}. Received {action!r}.", "Map it to one.")
    if ts.tzinfo is None:
        raise InputError(f"Times are instants: they name their zone. Received {ts}.", "Give it in UTC.")
    if action not in schema.INTERACTIONS:
        return
    known = read(store, {"user_id": user_id}, [f"user_history:{name}" for name in HISTORY_COLUMNS])
    last = max(known["history_times"] or [0])
    if int(ts.timestamp()) < last:
        raise InputError(
            f"Interactions of one listener come in order of time: {user_id!r} has one of "
            f"{datetime.fromtimestamp(last, UTC)}. Received one of {ts}.",
            "Push each listener's from one place, oldest first; a refresh brings what came late.",
        )
    new = dict(zip(HISTORY_COLUMNS, (item_id, action, int(ts.timestamp())), strict=True))
    row = {name: [[*(known[name] or []), new[name]][-T.HISTORY :]] for name in HISTORY_COLUMNS}
    frame = pd.DataFrame({"user_id": [user_id], "event_timestamp": [pd.Timestamp(ts)], **row})
    store.push("user_history_push", frame, to=PushMode.ONLINE)
    if session_id is None:
        return
    counts = session_state(store, session_id)
    counts["session_skips" if action == schema.SKIP else "session_plays"] += 1.0
    frame = pd.DataFrame([{"session_id": session_id, "event_timestamp": pd.Timestamp(ts), **counts}])
    store.push("session_context_push", frame.astype(dict.fromkeys(counts, np.float32)), to=PushMode.ONLINE)


def newest(store: FeatureStore, user_id: str) -> datetime:
    """When the listener did the last thing that the online store knows of; 1970 if there is none."""
    times = read(store, {"user_id": user_id}, ["user_history:history_times"])["history_times"]
    return datetime.fromtimestamp(max(times or [0]), UTC)


def session_state(store: FeatureStore, session_id: str | None) -> dict[str, float]:
    """Plays and skips of a session so far; zeros for a new one."""
    names = ("session_plays", "session_skips")
    if session_id is None:
        return dict.fromkeys(names, 0.0)
    found = read(store, {"session_id": session_id}, [f"session_context:{name}" for name in names])
    return {name: float(found[name] or 0.0) for name in names}


def user_state(store: FeatureStore, user_id: str, at: datetime) -> dict:
    """What the models need to know of a listener at a request, as the training set names it.

    A snapshot older than its view's ttl at `at`, or newer than `at`, is unknown, as in the point-in-time join; the
    online store itself keeps the last one for ever. Of the history, what came after `at` is left out.

    Raises:
        InputError: nothing is known of the listener.
    """
    known: dict = {}
    for view in store.list_batch_feature_views():
        if view.name not in USER_VIEWS:
            continue
        names = [feature.name for feature in view.features]
        found, stamp = read_stamped(store, {"user_id": user_id}, [f"{view.name}:{n}" for n in names])
        valid = not view.ttl or timedelta(0) <= at - stamp <= view.ttl
        known |= found if valid else dict.fromkeys(names)
    past = sum(time <= at.timestamp() for time in known["history_times"] or [])
    known |= {name: known[name] and known[name][:past] for name in HISTORY_COLUMNS}
    if all(value is None or value == [] for value in known.values()):
        raise InputError(
            f"A user must be known to the online store; {user_id!r} is not.",
            "Check the id against the imported log; `segue recommend` serves a new listener with --new or --pick ITEM.",
        )
    return known


def read_stamped(store: FeatureStore, entity: dict[str, str], references: list[str]) -> tuple[dict, datetime]:
    """The online features of one entity from one view by name, and the instant they were stamped with."""
    answer = store.get_online_features(features=references, entity_rows=[entity])
    values = {name: v[0] for name, v in answer.to_dict().items() if name not in entity}
    seconds = max((t.seconds for r in answer.proto.results for t in r.event_timestamps), default=0)
    return values, datetime.fromtimestamp(seconds, UTC)


def read(store: FeatureStore, entity: dict[str, str], references: list[str]) -> dict:
    """The online features of one entity from one view by name; None where nothing is known."""
    return read_stamped(store, entity, references)[0]

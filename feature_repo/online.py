"""The online store: refreshed from the daily snapshots, extended by pushes, read at a request."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from feast import FeatureStore, FeatureView
from feast.data_source import PushMode
from feast.type_map import feast_value_type_to_python_type
from ibis import _

from events.ingest import complete_until, read_manifest
from events.journal.journal import has_journal, keeping_of
from events.journal.keeping import Keeping
from events.journal.records import read_feedback
from events.schema import EARLIEST, INTERACTIONS
from feature_repo import transformations
from feature_repo.build import load_manifest
from feature_repo.definitions import define
from feature_repo.engine import duckdb_engine, read_parquet
from feature_repo.feast_store import embedded_store, open_store, shared, store_over
from feature_repo.pushes import HISTORY_COLUMNS, SESSION_COLUMNS, Interaction, Pusher, key
from feature_repo.storage import cluster
from feature_repo.storage.transactions import faults
from segue.errors import InputError
from segue.files import read_json, write_json
from segue.settings import Home
from stores.settings import settings

TOGETHER = 1000  # interactions of one transaction
USER_VIEWS = ("user_profile", "user_daily", "user_history")


def refresh(home: Home, ingested: Path, tables: Path) -> dict:
    """Write the newest snapshots online, then push the interactions that came after the last snapshot.

    A refresh replaces everything online with the log's and with the journal's interactions that are not collected yet:
    a listener, session or item that neither has is gone afterwards. The new content is built beside the store and takes
    its place in one transaction, so a reader sees the old content or the new. What the journal got meanwhile, which a
    gateway has pushed to the old content, is pushed to the new one.

    Args:
        home: the home whose feature tables are `tables`.
        ingested: the log that `tables` was built from.
        tables: the folder that `build` wrote.

    Returns:
        `dataset`, `sha256`, `last_event`, the end of the log, and `collected`, the journal and the cursor up to which
        the log has it. They are also kept beside the store (see `state`).
    """
    manifest = read_manifest(ingested)
    now_online = {
        "dataset": manifest["dataset"],
        "sha256": manifest["sha256"],
        "last_event": complete_until(manifest).isoformat(),
        "collected": manifest.get("collected", {}),
    }
    now, reached = settings(), now_online

    def filled(store: FeatureStore) -> None:
        nonlocal reached
        fill(store, ingested, tables)
        reached = catch_up(home, store, now_online)

    if now.clustered:
        definitions = define(str(tables.resolve())).all
        cluster.replace(now, shared(), definitions, filled, now_online)
    else:
        with store_over(tables) as store:
            filled(store)
            with (
                closing(sqlite3.connect(store.config.online_store.path)) as built,
                closing(sqlite3.connect(embedded_store(home).config.online_store.path)) as live,
            ):
                built.backup(live)
        write_json(home.online_state, now_online)
    catch_up(home, open_store(home), reached)
    return now_online


def fill(store: FeatureStore, ingested: Path, tables: Path) -> None:
    """Write the newest snapshots and the interactions after them to an empty online store."""
    last_day = load_manifest(tables)["last_day"]
    until = datetime.fromtimestamp((last_day + 1) * transformations.DAY_SECONDS, UTC)
    views = [view.name for view in store.list_batch_feature_views()]
    store.materialize(EARLIEST - timedelta(days=1), until + timedelta(days=1), views, disable_event_timestamp=False)
    with duckdb_engine() as engine:
        events = read_parquet(engine, ingested / "events.parquet")
        interactions = transformations.interactions(events)
        after = transformations.day_number(interactions.arrival) > last_day
        late = interactions.filter(after).group_by("user_id").agg(event_timestamp=_.arrival.max())
        counts = interactions.group_by("user_id").agg(n_before=_.count().cast("int32"))
        today = late.join(counts, "user_id")
        sequences = transformations.sequences(events)
        histories = engine.to_pyarrow(transformations.histories(today, sequences).drop("n_before"))
    if histories.num_rows:
        store.push("user_history_push", histories.to_pandas(), to=PushMode.ONLINE)


def catch_up(home: Home, store: FeatureStore, online: dict) -> dict:
    """Push the interactions in the journal that the store does not have, and return the state that is reached.

    Args:
        home: the home.
        store: the feature store.
        online: `state` of the store.

    Returns:
        The state, with the end of the journal as `collected`.

    Raises: as `push_uncollected`.
    """
    now = settings()
    if not has_journal(home, now):
        return online
    with closing(keeping_of(home, now)) as keeping:
        end = {"journal": keeping.identity(), "cursor": keeping.newest()}  # first: what comes while it is read is later
        push_uncollected(store, keeping, online)
    return online | {"collected": end}


def push_uncollected(store: FeatureStore, keeping: Keeping, online: dict) -> int:
    """Push the interactions in the journal that the log did not have, and return how many the store did not have.

    Args:
        store: the feature store.
        keeping: where the journal is kept.
        online: `state` of the store.

    Raises:
        InputError: the online store refuses.
        UnavailableError: the journal or the online store does not answer.
    """
    interactions, pusher, pushed = uncollected(keeping, online), None, 0
    while batch := list(islice(interactions, TOGETHER)):
        pusher = pusher or Pusher(store)
        pushed += sum(pusher.extend(batch))
    return pushed


def uncollected(keeping: Keeping, online: dict) -> Iterator[Interaction]:
    """Yield the interactions in the journal that the log did not have when it was put online.

    Some may be online by a push: a push of them again changes nothing.

    Args:
        keeping: where the journal is kept.
        online: `state` of the store.

    Raises:
        UnavailableError: the journal does not answer.
    """
    collected = online.get("collected", {})
    after = collected["cursor"] if collected.get("journal") == keeping.identity() else ""
    for body in keeping.feedback(after):
        one = read_feedback(body)
        if one.action in INTERACTIONS:
            yield Interaction(one.user_id, one.item_id, one.action, one.ts, one.session_id)


def state(home: Home) -> dict:
    """Return what `refresh` has kept beside the online store; times are ISO 8601, UTC.

    Raises:
        InputError: the online store has not been filled yet, or refuses.
        UnavailableError: the online store does not answer.
    """
    now = settings()
    if now.clustered:
        return cluster.read_state(now)
    if not home.online_state.is_file():
        raise InputError("No features are online yet.", "Run `segue run training` first.")
    return read_json(home.online_state)


def push_interaction(
    store: FeatureStore, user_id: str, item_id: str, action: str, ts: datetime, session_id: str | None
) -> None:
    """Extend a listener's online history, and the session's counts, by one interaction.

    An impression changes nothing. Who pushes many interactions keeps a `Pusher`.

    Raises:
        InputError: the schema does not know the action, or the time has no zone.
        UnavailableError: the online store does not answer.
    """
    Pusher(store).extend([Interaction(user_id, item_id, action, ts, session_id)])


def session_state(store: FeatureStore, session_id: str | None) -> dict[str, float]:
    """Return the plays and skips of a session so far; zeros for a new session or none."""
    if session_id is None:
        return dict.fromkeys(SESSION_COLUMNS, 0.0)
    counts = read_view(store, "session_context", "session_id", session_id).features
    return {name: float(counts[name] or 0.0) for name in SESSION_COLUMNS}


@dataclass(frozen=True)
class ViewRow:
    """One listener's row of one view in the online store.

    Attributes:
        features: values by name, all None if the view has no row for the listener.
        stamp: the instant from which the row is valid; 1970 if there is no row.
        ttl: how long the row is valid from then on; zero means for ever.
    """

    features: Mapping[str, Any]
    stamp: datetime
    ttl: timedelta

    def as_of(self, at: datetime) -> Mapping[str, Any]:
        """Return the features as the point-in-time join at `at` gives them: all None unless the row is valid then."""
        valid = not self.ttl or timedelta(0) <= at - self.stamp <= self.ttl
        return self.features if valid else dict.fromkeys(self.features)


@dataclass(frozen=True)
class Listener:
    """Everything that the online store holds about one listener, from one read.

    A caller without a clock of its own, such as `segue recommend`, makes the request at the time of the newest
    interaction. The same read gives that time and the features as of it.
    """

    user_id: str
    rows: tuple[ViewRow, ...]

    @property
    def newest(self) -> datetime:
        """The time of the listener's newest interaction in the online store; 1970 without any."""
        times = next(row.features["history_times"] for row in self.rows if "history_times" in row.features)
        return datetime.fromtimestamp(max(times or [0]), UTC)

    def features_at(self, at: datetime) -> dict[str, Any]:
        """Return the listener's features for a request at `at`, named as in the training set.

        The online store keeps the last row of each view for ever. As in the point-in-time join, a daily snapshot
        that is newer than `at`, or older than its view's ttl, counts as unknown. Interactions after `at` are left
        out of the history.

        Raises:
            InputError: the online store holds nothing about the listener.
        """
        features: dict[str, Any] = {}
        for row in self.rows:
            features |= row.as_of(at)
        past = sum(time <= at.timestamp() for time in features["history_times"] or [])
        features |= {name: features[name] and features[name][:past] for name in HISTORY_COLUMNS}
        if all(value is None or value == [] for value in features.values()):
            raise InputError(
                f"A user must be known to the online store; {self.user_id!r} is not.",
                "Check the id against the imported log; `segue recommend` serves a new listener with --new or "
                "--pick ITEM.",
            )
        return features


def listener(store: FeatureStore, user_id: str) -> Listener:
    """Read all views of one listener from the online store; an unknown listener's features are None."""
    return Listener(user_id, tuple(read_view(store, view, "user_id", user_id) for view in USER_VIEWS))


def read_view(store: FeatureStore, name: str, join_key: str, entity: str) -> ViewRow:
    """Read one entity's row of a view by the online store's own read.

    It costs 0.1 ms. `FeatureStore.get_online_features` reads the registry too: 9 ms for a listener's three views
    (`tests/feature_repo/test_online_reads.py` holds their values against each other).

    Args:
        store: the feature store.
        name: the view.
        join_key: of the view's entity, e.g. `user_id`.
        entity: the id.

    Raises:
        InputError: the online store refuses.
        UnavailableError: the online store does not answer.
    """
    view = views()[name]
    names = [feature.name for feature in view.features]
    with faults(store):
        ((stamp, row),) = store._get_provider().online_read(store.config, view, [key(join_key, entity)], names)
    values = {name: feast_value_type_to_python_type(value) for name, value in (row or {}).items()}
    stamp = stamp.replace(microsecond=0) if stamp else datetime.fromtimestamp(0, UTC)
    return ViewRow({name: values.get(name) for name in names}, stamp, view.ttl or timedelta(0))


@cache
def views() -> dict[str, FeatureView]:
    """The views by name, as they are defined; where their sources lie does not matter to an online read."""
    return {view.name: view for view in define("/").views}

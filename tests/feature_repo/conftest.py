"""Small logs written as text, and one nano world with its feature tables, store and training set."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events import schema
from events.splits import Split, cut
from feature_repo import training
from feature_repo.build import build
from feature_repo.engine import duckdb_engine
from segue.files import write_json
from segue.settings import Home

DAY_0 = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday; day 0 of every log here
NULL = "-"


def instant(day: int, clock: str = "00:00") -> datetime:
    """Return the time `clock` (ISO 8601, UTC) on day `day`, counted from `DAY_0`."""
    return datetime.combine(DAY_0 + timedelta(days=day), time.fromisoformat(clock), UTC)


def parse_log(text: str) -> pa.Table:
    """Parse an event log with one `user item day clock action [session]` per line; events are numbered from `e1`."""
    rows = []
    for n, line in enumerate(filter(None, map(str.split, text.splitlines())), start=1):
        user, item, day, clock, action, *session = line
        rows.append({
            "event_id": f"e{n}",
            "user_id": user,
            "item_id": item,
            "ts": instant(int(day), clock),
            "action": action,
            "ms_played": schema.PLAY_THROUGH_MS if action == schema.PLAY else None,
            "session_id": session[0] if session and session[0] != NULL else None,
        })  # fmt: skip
    return pa.Table.from_pylist(rows, schema=schema.EVENTS)


def parse_items(text: str) -> pa.Table:
    """Parse a catalogue with one `item content_type genre,genre release_date` per line, `-` for null."""
    rows = []
    for item, content_type, genres, release in filter(None, map(str.split, text.splitlines())):
        rows.append({
            "item_id": item,
            "title": item,
            "content_type": None if content_type == NULL else content_type,
            "genres": None if genres == NULL else genres.split(","),
            "release_date": None if release == NULL else date.fromisoformat(release),
        })  # fmt: skip
    return pa.Table.from_pylist(rows, schema=schema.ITEMS)


def users_of(events: pa.Table) -> pa.Table:
    """Return the listeners of a log, all from Sweden."""
    ids = sorted(set(events["user_id"].to_pylist()))
    return pa.Table.from_pylist([{"user_id": user, "country": "SE"} for user in ids], schema=schema.USERS)


@dataclass(frozen=True)
class Ingested:
    """A log on disk, and the home of its feature tables and store."""

    folder: Path
    home: Home

    @property
    def tables(self) -> Path:
        """The folder of the feature tables."""
        return self.home.features / "tables"

    def store(self):
        """Register all definitions and return the feature store."""
        from feature_repo.feast_store import apply

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Feast warns at every call that on-demand views are experimental
            return apply(self.home, self.tables)

    def refresh(self):
        """Return the feature store, refreshed online from the log."""
        from feature_repo.online import refresh

        store = self.store()
        refresh(self.home, self.folder, self.tables)
        return store


def ingest(root: Path, events: pa.Table, items: pa.Table, users: pa.Table, dataset: str = "small") -> Ingested:
    """Write a log to disk as `events.ingest` does, and build its feature tables."""
    log = Ingested(root / "ingested", Home(root / "home"))
    log.folder.mkdir(parents=True)
    for name, table in (("events", events), ("items", items), ("users", users)):
        pq.write_table(table, log.folder / f"{name}.parquet")
    span = {"first": events["ts"][0].as_py().isoformat(), "last": events["ts"][-1].as_py().isoformat()}
    write_json(log.folder / "manifest.json", {"dataset": dataset, "sha256": dataset, "span": span})
    build(log.folder, log.tables)
    return log


def join(store, keys: list[tuple[str, str, datetime]], features: list[str] | None = None) -> list[dict]:
    """Join features to `(user, item, instant)` keys, point in time; one dict of features per key."""
    users, items, times = zip(*keys, strict=True)
    table = pa.table({
        "row": pa.array(range(len(keys)), pa.int64()),
        "user_id": pa.array(users, pa.string()),
        "item_id": pa.array(items, pa.string()),
        "ts": pa.array(times, schema.TIMESTAMP),
    })  # fmt: skip
    return training.point_in_time_join(store, table, features or training.joined_features(store)).to_pylist()


@pytest.fixture(scope="session")
def at() -> Callable[..., datetime]:
    """`at(day, clock)`: an instant of the small logs."""
    return instant


@pytest.fixture(scope="session")
def make_log() -> Callable[[str], pa.Table]:
    """`make_log(text)`: see `parse_log`."""
    return parse_log


@pytest.fixture(scope="session")
def make_items() -> Callable[[str], pa.Table]:
    """`make_items(text)`: see `parse_items`."""
    return parse_items


@pytest.fixture(scope="session")
def day_number(at) -> Callable[[int], int]:
    """Days since 1970 of a day of the small logs."""
    return lambda day: (at(day) - datetime(1970, 1, 1, tzinfo=UTC)).days


@pytest.fixture(scope="session")
def engine():
    """One DuckDB connection for all expressions."""
    with duckdb_engine() as connection:
        yield connection


@pytest.fixture(scope="session")
def rows(engine) -> Callable[..., list[dict]]:
    """`rows(expression, *order)`: the rows of an expression, sorted by the columns `order`."""
    return lambda expression, *order: engine.to_pyarrow(expression.order_by(list(order))).to_pylist()


@pytest.fixture(scope="session")
def snapshots_by_day(rows, at) -> Callable[..., dict[tuple[str, int], dict]]:
    """`snapshots_by_day(table, key)`: the daily rows of `table` by `(value of column key, day)`."""

    def keyed(table: ibis.Table, key: str) -> dict[tuple[str, int], dict]:
        return {
            (row[key], (row["event_timestamp"] - at(0)).days - 1): row for row in rows(table, key, "event_timestamp")
        }

    return keyed


@pytest.fixture(scope="session")
def memory() -> Callable[[pa.Table], ibis.Table]:
    """`memory(table)`: an Arrow table as an Ibis expression."""
    return ibis.memtable


@pytest.fixture(scope="session")
def ingest_log() -> Callable[..., Ingested]:
    """`ingest_log(root, events, items, dataset)`: a small log as text, written and built under `root`."""

    def ingested(root: Path, events: str, items: str, dataset: str = "small") -> Ingested:
        log = parse_log(events)
        return ingest(root, log, parse_items(items), users_of(log), dataset)

    return ingested


@pytest.fixture(scope="session")
def ingest_tables() -> Callable[..., Ingested]:
    """`ingest_tables(root, events, items, users)`: Arrow tables, written and built under `root`."""
    return ingest


@pytest.fixture(scope="session")
def point_in_time() -> Callable[..., list[dict]]:
    """`point_in_time(store, keys, features)`: see `join`."""
    return join


@pytest.fixture(scope="session")
def world():
    """A nano world of 28 days: 60 listeners, 150 items, about 6,000 events."""
    from events.importers.synthetic import generate, sized

    return generate(sized("nano"), seed=0)


@pytest.fixture(scope="session")
def nano(tmp_path_factory, world, split) -> Ingested:
    """The nano world on disk with its split, and its feature tables built."""
    log = ingest(tmp_path_factory.mktemp("nano"), world.events, world.items, world.users, world.dataset)
    write_json(log.folder / "split.json", split.to_dict())
    return log


@pytest.fixture(scope="session")
def nano_store(nano):
    """The nano world's feature store. It is read only and has nothing online."""
    return nano.store()


@pytest.fixture(scope="session")
def split(world) -> Split:
    """The split of the nano world by time."""
    return cut(world.events["ts"])


@pytest.fixture(scope="session")
def training_folder(nano, nano_store, tmp_path_factory) -> Path:
    """The nano world's training set on disk."""
    out = tmp_path_factory.mktemp("training") / "set"
    training.make_training_set(nano_store, nano.folder, nano.tables, out)
    return out


@pytest.fixture(scope="session")
def training_set(training_folder) -> dict[str, pa.Table]:
    """The nano world's examples, by part."""
    return {part: pq.read_table(training_folder / f"{part}.parquet") for part in ("train", "validation", "test")}

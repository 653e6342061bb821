"""The training set of a nano world: its parts, its columns, and every feature compared with a plain recount."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from events import schema
from events.splits import Split
from feature_repo import training
from feature_repo.build import load_manifest
from feature_repo.items_as_of import items_as_of
from segue.errors import InputError
from segue.files import read_json, write_json

SAMPLE = 150
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FLOATS = [
    *schema.LABEL_COLUMNS, "session_plays", "session_skips",
    "user_plays_7d", "user_plays_28d", "user_skip_rate_7d", "user_skip_rate_28d", "hours_since_last_play",
    "item_plays_7d", "item_plays_28d", "item_skip_rate_28d", "item_like_rate_28d", "item_trend",
    "item_age_days", "duration_s", "genre_affinity", "age_at_request_days",
]  # fmt: skip
STRINGS = [
    "event_id", "user_id", "item_id", "session_id", "request_id", "surface", "country", "age_band", "plan",
    "creator_id", "content_type", "language",
]  # fmt: skip
TYPES = {
    **dict.fromkeys(FLOATS, pa.float32()),
    **dict.fromkeys(STRINGS, pa.string()),
    **dict.fromkeys(["genre_weights", "genre_shares", "content_type_shares"], pa.list_(pa.float32())),
    **dict.fromkeys(["history_items", "history_actions"], pa.list_(pa.string())),
    "history_times": pa.list_(pa.int64()),
    "ts": schema.TIMESTAMP,
    "position": pa.int32(),
    "propensity": pa.float64(),
    "positive": pa.bool_(),
    "release_ts": pa.int64(),
}


class Recount:
    """Every feature of an example, computed from plain rows of the log without Ibis and Feast."""

    def __init__(self, world, axes: dict) -> None:
        self.items = {row["item_id"]: row for row in world.items.to_pylist()}
        self.users = {row["user_id"]: row for row in world.users.to_pylist()}
        self.genres, self.content_types = axes["genres"], axes["content_types"]
        self.done: dict[tuple[str, str], list[dict]] = defaultdict(list)
        for row in world.events.sort_by([("ts", "ascending"), ("event_id", "ascending")]).to_pylist():
            if row["action"] != "impression":
                row["play"], row["day"] = row["action"] != "skip", (row["ts"] - EPOCH).days
                for key in ("user_id", "item_id", "session_id"):
                    self.done[key, row[key]].append(row)

    def features(self, example: dict) -> dict:
        """Return the expected features of an example."""
        user, item = self.users[example["user_id"]], self.items[example["item_id"]]
        weights = self.weights(item)
        daily = self.user_daily(user["user_id"], example["ts"])
        shares = daily["genre_shares"]
        release = datetime.combine(item["release_date"], datetime.min.time(), UTC)
        return {
            **self.before(example),
            **daily,
            **self.item_daily(item, example["ts"]),
            **{name: user[name] for name in ("country", "age_band", "plan")},
            **{name: item[name] for name in ("creator_id", "content_type", "language")},
            "duration_s": item["duration_ms"] / 1000,
            "release_ts": int(release.timestamp()),
            "genre_weights": weights,
            "genre_affinity": float(np.dot(shares, weights)) if shares else 0,
            "age_at_request_days": max((example["ts"] - release) / timedelta(days=1), 0),
        }

    def before(self, example: dict) -> dict:
        """Return history and session counts from before the example's own instant."""
        past = [r for r in self.done["user_id", example["user_id"]] if r["ts"] < example["ts"]][-50:]
        session = [r for r in self.done["session_id", example["session_id"]] if r["ts"] < example["ts"]]
        return {
            "history_items": [row["item_id"] for row in past],
            "history_actions": [row["action"] for row in past],
            "history_times": [int((row["ts"] - EPOCH).total_seconds()) for row in past],
            "session_plays": sum(row["play"] for row in session),
            "session_skips": sum(not row["play"] for row in session),
        }

    def last_days(self, key: str, value: str, ts: datetime, days: int) -> list[dict]:
        """Return the interactions in the last days before the day of `ts`."""
        today = (ts - EPOCH).days
        return [row for row in self.done[key, value] if today - days <= row["day"] < today]

    def user_daily(self, user: str, ts: datetime) -> dict:
        """Return the listener's statistics, all null without activity in 28 days."""
        short, long = (self.last_days("user_id", user, ts, days) for days in (7, 28))
        names = [
            "user_plays_7d", "user_plays_28d", "user_skip_rate_7d", "user_skip_rate_28d",
            "hours_since_last_play", "genre_shares", "content_type_shares",
        ]  # fmt: skip
        if not long:
            return dict.fromkeys(names)
        plays = [row for row in long if row["play"]]
        midnight = datetime.combine(ts.date(), datetime.min.time(), UTC)
        hours = (midnight - plays[-1]["ts"]) / timedelta(hours=1) if plays else 24 * 28
        played = [self.items[row["item_id"]] for row in plays]
        genres = np.sum([self.weights(item) for item in played], axis=0) / max(len(played), 1)
        types = [sum(item["content_type"] == t for item in played) / max(len(played), 1) for t in self.content_types]
        figures = [plays_of(short), len(plays), skip_rate(short), skip_rate(long), hours]
        return dict(zip(names, [*figures, list(genres) if plays else [0] * len(self.genres), types], strict=True))

    def item_daily(self, item: dict, ts: datetime) -> dict:
        """Return the item's statistics, all null without activity in 28 days."""
        short, long = (self.last_days("item_id", item["item_id"], ts, days) for days in (7, 28))
        names = [
            "item_plays_7d", "item_plays_28d", "item_skip_rate_28d", "item_like_rate_28d", "item_trend",
            "item_age_days",
        ]  # fmt: skip
        if not long:
            return dict.fromkeys(names)
        likes = sum(row["action"] == "like" for row in long) / len(long)
        trend = (plays_of(short) / 7) / (plays_of(long) / 28) if plays_of(long) else 0
        age = max((ts.date() - item["release_date"]).days, 0)
        figures = [plays_of(short), plays_of(long), skip_rate(long), likes, trend, age]
        return dict(zip(names, figures, strict=True))

    def weights(self, item: dict) -> list[float]:
        """Return the weights of the item's genres within the vocabulary, which sum to 1."""
        own = [genre for genre in self.genres if genre in item["genres"]]
        return [(genre in own) / max(len(own), 1) for genre in self.genres]


def plays_of(rows: list[dict]) -> int:
    return sum(row["play"] for row in rows)


def skip_rate(rows: list[dict]) -> float:
    return 1 - plays_of(rows) / len(rows) if rows else 0


@pytest.fixture(scope="module")
def table(training_set) -> pa.Table:
    """All parts in one table, in order of time."""
    return pa.concat_tables([training_set[part] for part in ("train", "validation", "test")])


@pytest.fixture(scope="module")
def recount(world, nano) -> Recount:
    """The recount of the nano world."""
    return Recount(world, load_manifest(nano.tables))


@pytest.fixture(scope="module")
def sample(table) -> list[dict]:
    """Evenly spaced examples, from the first to the last."""
    return table.take(np.linspace(0, table.num_rows - 1, SAMPLE).astype(int)).to_pylist()


def test_features_equal_a_plain_recount(sample, recount):
    for example in sample:
        for name, value in recount.features(example).items():
            assert same(example[name], value), (example["event_id"], name, example[name], value)


def test_the_sample_has_known_and_unknown_statistics(sample):
    # Otherwise the recount above would prove little.
    for name in ("user_plays_7d", "item_plays_7d"):
        null = [row[name] is None for row in sample]
        assert 0 < sum(null) < len(null), name
    assert sum(row["session_plays"] > 0 for row in sample) > 10
    assert max(len(row["history_items"]) for row in sample) == 50


def test_columns_and_types_are_those_that_the_models_expect(table):
    assert dict(zip(table.column_names, table.schema.types, strict=True)) == TYPES


def test_the_parts_partition_the_impressions(table, world):
    shown = world.events.filter(pc.equal(world.events["action"], "impression"))
    assert table["event_id"].to_pylist() == shown["event_id"].to_pylist()


def test_the_parts_are_cut_by_time(training_set, split):
    bounds = {
        "train": (split.start, split.train_end),
        "validation": (split.train_end, split.validation_end),
        "test": (split.validation_end, split.end),
    }
    for part, (since, until) in bounds.items():
        times = training_set[part]["ts"].to_pylist()
        assert since <= min(times), part
        assert max(times) < until, part


def test_a_smaller_chunk_gives_the_same_rows(nano, nano_store, table, monkeypatch):
    monkeypatch.setattr(training, "CHUNK", 2500)
    chunks = list(training.chunks(nano.folder, nano_store))
    assert [chunk.num_rows for chunk in chunks] == [2500, table.num_rows - 2500]
    assert pa.concat_tables(chunks).equals(table)


def test_the_returned_counts_are_the_rows_in_the_files(ingest_log, tmp_path, at):
    log = ingest_log(tmp_path, "\n".join(f"u a {day} 12:00 play" for day in range(6)), "a music rock -")
    split = Split(at(0, "12:00"), at(3, "12:00"), at(5, "12:00"), at(5, "12:01"))
    written = training.write_training_set(log.folder, log.store(), split, tmp_path)
    # An event at a boundary belongs to the later part.
    assert written == {"train": 3, "validation": 2, "test": 1}
    assert {part: pq.read_metadata(tmp_path / f"{part}.parquet").num_rows for part in written} == written


def test_a_training_set_has_the_catalogue_as_of_the_test_span_and_the_newest_snapshot(training_folder, nano, split):
    newest = EPOCH + timedelta(days=load_manifest(nano.tables)["last_day"] + 1)
    for name, instant in (("items_at_test", split.validation_end), ("items_now", newest)):
        assert pq.read_table(training_folder / f"{name}.parquet").equals(items_as_of(nano.tables, instant)), name


def test_the_sequences_are_all_interactions_of_the_train_span(training_folder, world, split):
    sequences = pq.read_table(training_folder / "sequences.parquet").to_pylist()
    expected = defaultdict(list)
    shown = {}
    for row in world.events.sort_by([("ts", "ascending"), ("event_id", "ascending")]).to_pylist():
        seconds = int((row["ts"] - EPOCH).total_seconds())
        key = row["user_id"], row["item_id"], row["request_id"]
        if row["action"] == "impression":
            shown[key] = seconds
        elif row["ts"] < split.train_end:
            expected[row["user_id"]].append((row["item_id"], row["action"], seconds, row["surface"], shown[key]))
    assert {row["user_id"] for row in sequences} == set(expected)
    for row in sequences:
        columns = (row[name] for name in ("items", "actions", "times", "surfaces", "asked"))
        assert list(zip(*columns, strict=True)) == expected[row["user_id"]]
        assert all(asked < time for asked, time in zip(row["asked"], row["times"], strict=True))


def test_the_manifest_names_the_data_set_and_the_rows_of_each_part(training_folder, training_set, world):
    manifest = read_json(training_folder / "manifest.json")
    assert manifest["dataset"] == world.dataset
    assert manifest["rows"] == {part: table.num_rows for part, table in training_set.items()}


def test_a_part_without_a_positive_example_is_named_in_the_error(ingest_log, tmp_path, at):
    # No impression is followed by a play.
    log = ingest_log(tmp_path, "\n".join(f"u a {day} 12:00 impression" for day in range(6)), "a music rock -")
    split = Split(at(0, "12:00"), at(3, "12:00"), at(5, "12:00"), at(5, "12:01"))
    write_json(log.folder / "split.json", split.to_dict())
    with pytest.raises(InputError, match="the train part has none in 3 rows"):
        training.make_training_set(log.store(), log.folder, log.tables, tmp_path / "out")


def same(actual, expected) -> bool:
    """Compare two values: floats to four digits, lists entry by entry."""
    if actual is None or expected is None or isinstance(expected, str):
        return actual == expected
    if isinstance(expected, list):
        return len(actual) == len(expected) and all(map(same, actual, expected))
    return actual == pytest.approx(expected, rel=1e-4, abs=1e-5)

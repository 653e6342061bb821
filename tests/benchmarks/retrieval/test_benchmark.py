"""The retrieval benchmark on a checkerboard: its requests, histories, splits and figures. No test asserts a speed."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from benchmarks.data_sets import canonical_tables
from benchmarks.retrieval import benchmark, random_splits
from benchmarks.retrieval.data import DataSet, Log, Task, histories, read, requests
from benchmarks.retrieval.peers import GRIDS
from cli.bench import bench
from models.training_config import TrainingConfig
from segue.errors import InputError
from segue.files import read_json, write_json

START = datetime(2026, 1, 5, tzinfo=UTC)
ITEM_STATS = ("item_plays_7d", "item_plays_28d", "item_skip_rate_28d", "item_like_rate_28d", "item_trend")


def data_set(folder: Path, listeners: int = 8, items: int = 12) -> DataSet:
    """A checkerboard, split 60/20/20 by time.

    Even listeners play all even items and odd listeners all odd items, an hour apart.
    """
    pairs = [(user, item) for item in range(items) for user in range(listeners) if user % 2 == item % 2]
    rows = table(pairs)
    catalogue = pa.table({
        "item_id": [f"i{item}" for item in range(items)],
        "release_ts": pa.array([0] * items, pa.int64()),
        "genre_weights": pa.array([[1.0, 0.0]] * items, pa.list_(pa.float32())),
        **{name: pa.array([1.0] * items, pa.float32()) for name in ITEM_STATS},
    })  # fmt: skip
    first, second = round(0.6 * len(pairs)), round(0.8 * len(pairs))
    folder.mkdir()
    for name, part in (
        ("train", rows.slice(0, first)),
        ("validation", rows.slice(first, second - first)),
        ("test", rows.slice(second)),
    ):
        pq.write_table(part, folder / f"{name}.parquet")
    for name in ("items_at_validation", "items_at_test", "items_now"):
        pq.write_table(catalogue, folder / f"{name}.parquet")
    pq.write_table(catalogue.select(["item_id", *ITEM_STATS]), folder / "negatives.parquet")
    write_json(folder / "manifest.json", {"dataset": "checkerboard", "rows": {}})
    return read(folder, "checkerboard")


def table(pairs: list[tuple[int, int]]) -> pa.Table:
    """Examples of listener and item in order of time, with statistics that a random split must not see."""
    count = len(pairs)
    users = [f"u{user}" for user, _ in pairs]
    return pa.table({
        "event_id": [f"e{row}" for row in range(count)],
        "user_id": users,
        "item_id": [f"i{item}" for _, item in pairs],
        "ts": pa.array([START + timedelta(hours=row) for row in range(count)], pa.timestamp("us", "UTC")),
        "surface": ["home"] * count,
        "label_skip": pa.array((np.arange(count) % 3 == 0).astype(np.float32)),
        "label_like": pa.array((np.arange(count) % 3 == 1).astype(np.float32)),
        "label_add": pa.nulls(count, pa.float32()),
        "positive": [True] * count,
        "item_plays_7d": pa.array([5.0] * count, pa.float32()),
        "genre_shares": pa.array([[0.5, 0.5]] * count, pa.list_(pa.float32())),
        "content_type_shares": pa.array([[1.0]] * count, pa.list_(pa.float32())),
        "genre_weights": pa.array([[1.0, 0.0]] * count, pa.list_(pa.float32())),
        "country": ["SE"] * count,
        **{name: [""] * count for name in ("age_band", "plan", "creator_id", "content_type", "language")},
        "history_items": pa.array([["i0"]] * count, pa.list_(pa.string())),
        "history_actions": pa.array([["play"]] * count, pa.list_(pa.string())),
        "history_times": pa.array([[0]] * count, pa.list_(pa.int64())),
    })  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> DataSet:
    return data_set(tmp_path / "training_set")


def micros(*hours: int) -> np.ndarray:
    return np.array(hours, np.int64) * 3_600_000_000


def number(name: str) -> int:
    """The number in an id: 7 for `u7` and for `i7`."""
    return int(name[1:])


def test_histories_end_strictly_before_the_request():
    # Listener 0: item 2 at 1 h, items 0 and 2 at 3 h. Listener 1: item 1 at 2 h.
    log = Log(np.array([0, 1, 0, 0]), np.array([2, 1, 0, 2]), micros(1, 2, 3, 3), users=2, items=3)
    found = histories(log, np.array([0, 0, 0, 1, 1, 0]), micros(1, 3, 4, 2, 9, 2)).toarray()
    assert found.tolist() == [[0, 0, 0], [0, 0, 1], [1, 0, 1], [0, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_a_requests_history_takes_earlier_rows_of_all_parts(world):
    rows = np.flatnonzero(world.part == 2)
    task = requests(world, rows, unseen=True)
    # A listener's rows are in the order of items, so the history is all smaller items of the same parity.
    for request in range(len(rows)):
        expected = np.arange(task.item[request] % 2, task.item[request], 2)
        np.testing.assert_array_equal(task.history[request].indices, expected)
    np.testing.assert_array_equal(task.item, world.log.item[rows])


@pytest.mark.parametrize(
    ("release", "unseen", "allowed"),
    [
        pytest.param(None, False, [True, True, True], id="all"),
        pytest.param([0, 0, 11], False, [True, True, False], id="item 2 comes out later"),
        pytest.param([0, 0, 10], False, [True, True, True], id="item 2 comes out now"),
        pytest.param(None, True, [True, False, True], id="item 1 is in the history"),
        pytest.param([0, 0, 11], True, [True, False, False], id="both"),
    ],
)
def test_release_and_history_decide_the_candidates(release, unseen, allowed):
    history = histories(Log(np.array([0]), np.array([1]), micros(0), 1, 3), np.array([0]), micros(1))
    releases = None if release is None else np.array(release)
    task = Task(np.array([0]), np.array([10]), history, np.array([0]), np.array([2]), releases, unseen)
    assert task.allowed(slice(0, 1)).tolist() == [allowed]


def test_a_folder_of_unknown_files_is_refused(tmp_path):
    with pytest.raises(InputError, match="nano, demo, small, large"):
        canonical_tables(str(tmp_path), tmp_path, 0)


@pytest.mark.parametrize(("share", "by_listener"), [(0.25, True), (0.2, False)])
def test_a_random_split_has_every_pair_once(world, share, by_listener):
    pairs = random_splits.split(world, share, by_listener, seed=1)
    codes = pairs.log.user * pairs.log.items + pairs.log.item
    assert len(np.unique(codes)) == len(codes) == 48  # 8 listeners, 6 items each
    tests = np.bincount(pairs.log.user[pairs.part == 2], minlength=8)
    if by_listener:
        assert tests.tolist() == [2] * 8  # a quarter of 6, rounded to even
    assert tests.sum() == round(48 * (2 / 6 if by_listener else share))
    rest = (pairs.part < 2).sum()
    assert (pairs.part == 1).sum() == round(random_splits.HELD_OUT * rest)


def test_a_repeated_pair_is_kept_once(tmp_path):
    world = data_set(tmp_path / "training_set")
    twice = replace(world.log.take(np.repeat(np.arange(48), 2)), ts=np.arange(96, dtype=np.int64))
    doubled = replace(world, rows=world.rows.take(pa.array(np.repeat(np.arange(48), 2))), log=twice)
    pairs = random_splits.split(doubled, 0.2, False, seed=0)
    assert pairs.rows.tolist() == list(range(0, 96, 2))  # the first row of each pair


def test_the_same_seed_gives_the_same_split(world):
    first, second, third = (random_splits.split(world, 0.25, True, seed).part for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert (first != third).any()


def test_targets_of_a_random_task_are_not_in_the_history(world):
    pairs = random_splits.split(world, 0.25, True, seed=0)
    task = random_splits.task(pairs, pairs.part < 2, pairs.part == 2, unseen=True)
    assert task.history.sum() == (pairs.part < 2).sum()
    assert len(task.item) == (pairs.part == 2).sum()
    for row, item in zip(task.row, task.item, strict=True):
        assert task.history[row, item] == 0
        assert item % 2 == number(world.user_ids[task.user[row]]) % 2
    assert (np.diff(task.row) >= 0).all()


@pytest.fixture
def random_set(world, tmp_path):
    pairs = random_splits.split(world, 0.25, True, seed=0)
    folder = tmp_path / "random"
    return pairs, folder, random_splits.training_set(world, pairs, 0, folder)


def test_histories_of_a_random_split_are_other_items_of_the_allowed_parts(world, random_set):
    pairs, folder, _ = random_set
    users = [number(world.user_ids[user]) for user in pairs.log.user]
    part_of = dict(zip(zip(users, pairs.log.item, strict=True), pairs.part, strict=True))
    for name, parts in (("train", {0}), ("validation", {0}), ("test", {0, 1})):
        part = pq.read_table(folder / f"{name}.parquet")
        for row in part.select(["user_id", "item_id", "history_items"]).to_pylist():
            user = number(row["user_id"])
            items = {number(item) for item in row["history_items"]}
            assert {part_of[user, item] for item in items} <= parts
            expected = {item for (u, item), p in part_of.items() if u == user and p in parts}
            assert items == (expected if name == "test" else expected - {number(row["item_id"])})


def test_a_random_split_has_no_statistics_and_no_times_of_entries(random_set):
    pairs, folder, _ = random_set
    train = pq.read_table(folder / "train.parquet")
    assert train["item_plays_7d"].null_count == train["surface"].null_count == train.num_rows
    assert train["genre_shares"].to_pylist() == [[0.0, 0.0]] * train.num_rows
    assert train["country"].to_pylist() == ["SE"] * train.num_rows
    instants = pc.cast(train["ts"], pa.int64()).to_numpy() // 1_000_000
    for times, instant in zip(train["history_times"].to_pylist(), instants, strict=True):
        assert set(times) <= {instant}
    assert pq.read_table(folder / "items_now.parquet")["item_trend"].null_count == pairs.log.items
    assert read_json(folder / "manifest.json")["dataset"] == "checkerboard"


def test_the_labels_decide_the_action_of_a_history(world):
    assert random_splits.actions(world.rows.slice(0, 3)).tolist() == ["skip", "like", "play"]


@pytest.mark.parametrize(("rows", "count"), [(0, 1), (50, 1), (51, 2), (120, 3), (200, 4), (900, 4)])
def test_a_listener_with_many_rows_has_up_to_four_full_histories(rows, count):
    log = Log(np.zeros(900, np.int64), np.arange(900), np.arange(900), users=1, items=900)
    (samples,) = random_splits.query_histories(log, np.array([0]), np.arange(900) < rows, np.random.default_rng(0))
    assert [len(sample) for sample in samples] == [min(rows, 50)] * count
    assert len(np.unique(np.concatenate(samples))) == min(rows, 200)
    assert all((np.diff(sample) > 0).all() for sample in samples)


PEERS = ("popularity", "item_knn", "ease", "als")


@pytest.fixture(scope="module")
def result_and_lines(tmp_path_factory):
    world = data_set(tmp_path_factory.mktemp("world") / "training_set")
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "prepare", lambda data, base, seed: world)
        return benchmark.run("checkerboard", lines.append, PEERS, seed=0), lines


def test_the_result_has_all_promised_figures(result_and_lines):
    result, lines = result_and_lines
    assert set(result) == {"data", "splits", "targets", "seed", "machine"}
    assert set(result["splits"]) == set(benchmark.SPLITS)
    assert len(lines) == 1 + 3 * len(PEERS)
    own = {"train_seconds", "examples_per_second", "settings", "recall@20", "recall@100", "ndcg@10", "mrr"}
    own |= {"coverage", "novelty", "intra_list_diversity", "popularity_bias", "genre_calibration"}
    more = {
        "time": set(),
        "random_75_25": {"recall@10", "precision@10", "map@10"},
        "random_80_20": {"recall@100_unseen"},
    }
    for split, measured in result["splits"].items():
        assert measured["left_out"] == {}
        for name in PEERS:
            assert set(measured[name]) == own | more[split]
            assert measured[name]["ndcg@10"]["low"] <= measured[name]["ndcg@10"]["mean"] <= 1
    assert result["splits"]["time"]["ease"]["settings"]["regularization"] in GRIDS["ease"]


def test_new_items_are_compared_with_a_random_list(result_and_lines):
    result, _ = result_and_lines
    # The last of the 12 items are played in the test span only; a list of 100 holds all 12, so every recall is 1.
    slices = result["splits"]["time"]["new_items"]
    assert slices["examples"] > 0
    assert slices["random_recall@100"] == slices["ease"]["recall@100"] == slices["ease"]["ratio"] == 1.0
    assert result["splits"]["time"]["new_users"] == {"examples": 0}


def test_co_occurrence_beats_popularity_on_the_checkerboard(result_and_lines):
    lists = result_and_lines[0]["splits"]["random_75_25"]
    # Each history has 4 of the 12 items; only 2 of the 8 candidates have the listener's parity, and both are relevant.
    assert lists["item_knn"]["ndcg@10"]["mean"] > lists["popularity"]["ndcg@10"]["mean"]


def test_the_command_prints_the_result(result_and_lines, monkeypatch):
    monkeypatch.setattr(benchmark, "run", lambda *_: result_and_lines[0])
    result = CliRunner().invoke(bench, ["retrieval", "--data", "any", "--json"])
    assert json.loads(result.stdout) == json.loads(json.dumps(result_and_lines[0]))
    shown = CliRunner().invoke(bench, ["retrieval", "--data", "any"])
    assert "checkerboard, random_75_25" in shown.stdout
    assert "new items: recall@100 of" in shown.stdout


@pytest.mark.parametrize(("models", "splits"), [(("eas",), ("time",)), (("ease",), ("times",))])
def test_an_unknown_model_or_split_is_refused(models, splits):
    with pytest.raises(InputError, match="There is no"):
        benchmark.run("nano", print, models, splits)


@pytest.mark.slow
def test_every_model_on_a_small_world(monkeypatch):
    from benchmarks.retrieval import contestants

    # One epoch takes a twelfth of the time, and no quality is judged here.
    short = {"retrieval": {"epochs": 1, "dim": 16}, "ranking": {"epochs": 1, "dim": 8}}
    monkeypatch.setattr(contestants, "TrainingConfig", lambda seed: TrainingConfig.from_dict({"seed": seed, **short}))
    # The checkerboard covers the peers on all splits.
    result = benchmark.run("nano", print, splits=("time",))
    on_random = benchmark.run("nano", print, ("segue_retrieval",), ("random_80_20",))
    ranked = {name: result["splits"]["time"][name] for name in benchmark.MODELS}
    for figures in (*ranked.values(), on_random["splits"]["random_80_20"]["segue_retrieval"]):
        assert figures["train_seconds"] > 0
        assert 0 <= figures["recall@100"]["low"] <= figures["recall@100"]["mean"] <= 1
    assert {"first_recall@20", "first_recall@100", "first_ndcg@10", "throughput_times_tutorial"} <= set(
        result["targets"]
    )

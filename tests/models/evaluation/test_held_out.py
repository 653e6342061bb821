"""Evaluation on held-out time; by hand where no model is needed."""

import numpy as np
import pyarrow as pa
import pytest

from events.schema import HEADS
from models.evaluation import held_out
from models.evaluation.metrics import auc
from segue.errors import InputError


@pytest.fixture(scope="module")
def items(make_catalogue, noon):
    """Three items; c is released an hour after noon."""
    now = int(noon.timestamp())
    return make_catalogue(
        {"item_id": "a", "release_ts": 0},
        {"item_id": "b", "release_ts": now},
        {"item_id": "c", "release_ts": now + 3600},
    )


def test_popularity_counts_positives(make_table, items):
    liked, shown = {"positive": True}, {"positive": False}
    train = make_table(
        liked | {"item_id": "b"}, liked | {"item_id": "b"}, liked | {"item_id": "a"}, shown | {"item_id": "c"},
        liked | {"item_id": "not in the catalogue"},
    )  # fmt: skip
    assert held_out.popularity(train, items).tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("row", "filter_seen", "rank"),
    [
        pytest.param({"item_id": "b"}, False, 0, id="the best released item"),
        pytest.param({"item_id": "a"}, False, 1, id="the second best"),
        pytest.param({"item_id": "a", "history_items": ["b"]}, True, 0, id="the best is in the history"),
        pytest.param({"item_id": "a", "history_items": ["a"]}, True, np.inf, id="the target is in the history"),
        pytest.param({"item_id": "c"}, False, np.inf, id="not released yet"),
    ],
)
def test_ranks_by_a_prior(make_table, items, row, filter_seen, rank):
    # c has the highest prior, but it is not released.
    ranks = held_out.retrieval_ranks(None, make_table(row), items, np.array([1.0, 2.0, 3.0]), filter_seen)
    assert ranks.tolist() == [rank]


def test_ranks_are_in_the_order_of_the_rows(make_table, items):
    rows = make_table(*({"item_id": "aab"[n % 3]} for n in range(2345)))  # more than two batches
    ranks = held_out.retrieval_ranks(None, rows, items, np.array([1.0, 2.0, 3.0]), False)
    assert ranks.tolist() == [int(n % 3 < 2) for n in range(2345)]


def test_retrieval_metrics_by_hand():
    metrics = held_out.retrieval_metrics(np.array([0.0, 10.0, 99.0, np.inf]))
    assert metrics == {"recall_at_10": 0.25, "recall_at_100": 0.75, "ndcg_at_10": 0.25}


def test_gains_of_a_second_source_by_hand():
    retrieval, other = np.array([0.0, 150.0, np.inf, 99.5]), np.array([150.0, 20.0, 99.0, np.inf])
    gains = held_out.beside_retrieval(retrieval, other)
    assert gains["recall_at_100"].tolist() == [-1, 1, 1, -1]
    # 100 of each against 200 of retrieval: only the third is gained, since retrieval's 200 hold the second.
    assert gains["merged_recall_at_200"].tolist() == [0, 0, 1, 0]


def test_a_small_table_is_not_sampled(make_table):
    table = make_table({}, {})
    assert held_out.sample(table, 2, seed=0) is table


def test_a_sample_keeps_the_order_and_has_no_repeats():
    table = pa.table({"x": range(1000)})
    drawn = held_out.sample(table, 100, seed=0)["x"].to_numpy()
    assert len(drawn) == 100
    assert (np.diff(drawn) > 0).all()
    assert held_out.sample(table, 100, seed=0)["x"].to_numpy().tolist() == drawn.tolist()
    assert held_out.sample(table, 100, seed=1)["x"].to_numpy().tolist() != drawn.tolist()


@pytest.fixture(scope="module")
def evaluated(saved_retrieval, world):
    """The evaluation of retrieval on the checkerboard, with the candidate as its own champion."""
    models = {"candidate": saved_retrieval, "champion": saved_retrieval}
    return held_out.evaluate_retrieval(models, world.train, world.test, world.items, False, seed=0)


def test_candidate_and_champion_are_evaluated_alike(evaluated, world):
    models = evaluated["models"]
    assert set(models) == {"popularity", "candidate", "champion"}
    assert models["candidate"] == models["champion"]
    assert models["candidate"]["ndcg_at_10"] > models["popularity"]["ndcg_at_10"]
    assert evaluated["examples"] == world.test.filter(world.test["positive"]).num_rows


def test_there_is_no_gain_if_every_model_finds_every_item(evaluated):
    # A list of 100 holds all twenty items.
    assert evaluated["recall_at_100_over_popularity"] == {"mean": 0, "low": 0, "high": 0}


def test_slices_below_50_examples_are_left_out(evaluated):
    slices = evaluated["slices"]
    assert set(slices) == {"surface=home", "content_type=music", "user_activity=light", "item_novelty=new"}
    assert slices["surface=home"]["examples"] == evaluated["examples"]
    assert {"examples", "popularity", "candidate", "champion"} == set(slices["surface=home"])


def test_the_gain_is_the_candidates_recall_minus_popularitys(evaluated, saved_retrieval, world, monkeypatch):
    monkeypatch.setattr(held_out, "recall_at", lambda rank, k: (rank < 5).astype(float))
    evaluation = held_out.evaluate_retrieval(
        {"candidate": saved_retrieval}, world.train, world.test, world.items, False, seed=0
    )
    gain = evaluation["recall_at_100_over_popularity"]
    recall = {name: m["recall_at_100"] for name, m in evaluation["models"].items()}
    assert gain["mean"] == pytest.approx(recall["candidate"] - recall["popularity"])
    assert 0 < gain["low"] < gain["mean"] < gain["high"]


def test_at_most_max_rows_are_evaluated(saved_retrieval, world, monkeypatch):
    monkeypatch.setattr(held_out, "MAX_ROWS", 60)
    evaluation = held_out.evaluate_retrieval(
        {"candidate": saved_retrieval}, world.train, world.test, world.items, False, seed=0
    )
    assert evaluation["examples"] == 60


def test_a_test_span_without_a_positive_is_an_error(make_table, items):
    with pytest.raises(InputError, match="a positive in the test span"):
        held_out.evaluate_retrieval({}, make_table({}), make_table({"positive": False}), items, False, seed=0)


def test_predictions_do_not_depend_on_the_batch(saved_ranking, predictions, world):
    part = held_out.predict_ranking(saved_ranking, world.test.slice(200, 7))
    assert set(part) >= {*HEADS, "reward"}
    for name, values in part.items():
        np.testing.assert_allclose(values, predictions[name][200:207], rtol=1e-4, err_msg=name)


def test_ranking_metrics_leave_out_unknown_labels(make_table):
    rows = [{"label_play": p, "label_skip": None, "label_like": 0.0} for p in (1.0, 0.0, None)]
    rows = [row | {"label_complete": None, "label_add": None} for row in rows]
    scores = {head: np.array([0.8, 0.4, 0.1]) for head in HEADS}
    metrics = held_out.ranking_metrics(scores, make_table(*rows))
    assert set(metrics) == {"play", "like"}  # no row has a label for skip
    play = metrics["play"]
    assert (play["auc"], play["examples"], play["label_mean"]) == (1.0, 2, 0.5)
    assert play["prediction_mean"] == pytest.approx(0.6)
    assert play["ece"] == pytest.approx((0.2 + 0.4) / 2)  # two bins: |0.8 - 1| and |0.4 - 0|
    assert play["log_loss"] == pytest.approx(-(np.log(0.8) + np.log(0.6)) / 2)
    assert np.isnan(metrics["like"]["auc"])


def test_a_head_that_a_model_lacks_is_left_out(make_table):
    metrics = held_out.ranking_metrics({"play": np.array([0.8, 0.4])}, make_table({"label_play": 1.0}, {}))
    assert set(metrics) == {"play"}


def test_calibration_in_each_slice(make_table):
    # On home all 60 labels are 1 at predictions of 0.5, in the library all 60 are 0 at 0.1. Other slices are too small.
    rows = [{"label_play": 1.0}] * 60 + [{"label_play": 0.0}] * 60 + [{"label_play": None}] * 60 + [{"label_play": 1.0}]
    surface = np.array(["home"] * 60 + ["library"] * 60 + ["search"] * 60 + ["now_playing"])
    scores = {"play": np.array([0.5] * 60 + [0.1] * 60 + [0.9] * 60 + [0.5])}
    calibration = held_out.calibration_by_slice(scores, make_table(*rows), {"surface": surface}, "play")
    assert set(calibration) == {"overall", "surface=home", "surface=library"}
    home = calibration["surface=home"]
    assert (home["examples"], home["prediction_mean"], home["label_mean"]) == (60, 0.5, 1.0)
    assert home["ece"] == pytest.approx(0.5)
    assert calibration["surface=library"]["ece"] == pytest.approx(0.1)
    assert calibration["overall"]["examples"] == 121
    assert calibration["overall"]["ece"] == pytest.approx((61 * 0.5 + 60 * 0.1) / 121)
    ((low, _, few), (high, _, many)) = calibration["overall"]["reliability"]
    assert (low, few, high, many) == pytest.approx((0.1, 60, 0.5, 61))


@pytest.mark.parametrize(
    ("area", "positives", "negatives", "half"),
    [
        # Q1 = 0.5 / 1.5 = 1/3, Q2 = 2 * 0.25 / 1.5 = 1/3: (1/4 + 2 * 49 * (1/3 - 1/4)) / 2500.
        pytest.param(0.5, 50, 50, 1.96 * np.sqrt((0.25 + 98 / 12) / 2500), id="chance"),
        pytest.param(1.0, 10, 10, 0.0, id="perfect"),
    ],
)
def test_the_interval_of_an_auc(area, positives, negatives, half):
    interval = held_out.auc_interval(area, positives, negatives)
    assert (interval.low, interval.high) == pytest.approx((area - half, area + half))


def test_the_interval_of_an_auc_agrees_with_resampling():
    rng = np.random.default_rng(0)
    areas = []
    for _ in range(300):
        labels = (np.arange(200) < 60).astype(float)
        areas.append(auc(labels, rng.normal(labels)))
    interval = held_out.auc_interval(float(np.mean(areas)), 60, 140)
    low, high = np.quantile(areas, [0.025, 0.975])
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.02)


def test_the_interval_of_nan_is_nan():
    assert np.isnan(held_out.auc_interval(float("nan"), 0, 0).low)

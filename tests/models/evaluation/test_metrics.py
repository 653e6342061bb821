"""Metrics by hand and against small reference implementations."""

import numpy as np
import pytest

from models.evaluation import metrics
from models.evaluation.metrics import (
    auc,
    bootstrap_mean,
    expected_calibration_error,
    log_loss,
    ndcg_at,
    rank_of_target,
    recall_at,
    reciprocal_rank,
    reliability,
)

INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    ("scores", "target", "rank"),
    [
        pytest.param([3, 1, 2], 0, 0, id="the best"),
        pytest.param([3, 1, 2], 1, 2, id="the worst"),
        pytest.param([3, 2, 2], 2, 1.5, id="one better and one tied: 1 + 1/2"),
        pytest.param([2, 2, 2], 1, 1, id="all tied: 2/2"),
        pytest.param([-INF, 1, 2], 1, 1, id="an item that is not a candidate does not count"),
        pytest.param([-INF, 1, -INF], 1, 0, id="the only candidate"),
        pytest.param([-INF, 1, -INF], 0, INF, id="the target is no candidate"),
        pytest.param([NAN, 1, 2], 0, INF, id="the target's score is nan"),
    ],
)
def test_rank_of_target(scores, target, rank):
    ranks = rank_of_target(np.array([scores], float), np.array([target]))
    assert ranks.tolist() == [rank]


def test_every_row_has_its_own_target():
    scores = np.array([[1.0, 2.0], [1.0, 2.0]])
    assert rank_of_target(scores, np.array([0, 1])).tolist() == [1, 0]


@pytest.mark.parametrize(("rank", "hit"), [(0, 1), (9, 1), (9.5, 1), (10, 0), (INF, 0)])
def test_recall_at_10(rank, hit):
    assert recall_at(np.array([rank]), 10).tolist() == [hit]


@pytest.mark.parametrize(
    ("rank", "gain"),
    [
        pytest.param(0, 1.0, id="1 / log2(2)"),
        pytest.param(2, 0.5, id="1 / log2(4)"),
        pytest.param(6, 1 / 3, id="1 / log2(8)"),
        pytest.param(9, 1 / np.log2(11), id="the last place within k"),
        pytest.param(10, 0.0, id="beyond"),
        pytest.param(INF, 0.0, id="no candidate"),
    ],
)
def test_ndcg_at_10(rank, gain):
    assert ndcg_at(np.array([float(rank)]), 10) == pytest.approx([gain])


@pytest.mark.parametrize(("rank", "value"), [(0, 1.0), (3, 1 / 4), (0.5, 1 / 1.5), (INF, 0.0)])
def test_reciprocal_rank(rank, value):
    assert reciprocal_rank(np.array([float(rank)])) == pytest.approx([value])


def pairs_won(labels, scores) -> float:
    """AUC by its definition: the share of positive and negative pairs in the right order, ties counting half."""
    won = [
        (a > b) + (a == b) / 2
        for a, positive in zip(scores, labels, strict=True)
        for b, other in zip(scores, labels, strict=True)
        if positive == 1 and other == 0
    ]
    return float(np.mean(won))


@pytest.mark.parametrize("levels", [2, 5, 1000], ids=["many ties", "some ties", "few ties"])
@pytest.mark.parametrize("seed", range(3))
def test_auc_is_the_share_of_pairs_won(levels, seed):
    rng = np.random.default_rng(seed)
    labels, scores = rng.integers(0, 2, 60).astype(float), rng.integers(0, levels, 60).astype(float)
    assert auc(labels, scores) == pytest.approx(pairs_won(labels, scores))


@pytest.mark.parametrize(
    ("labels", "scores", "area"),
    [
        pytest.param([0, 0, 1, 1], [1, 2, 3, 4], 1.0, id="perfect"),
        pytest.param([1, 1, 0, 0], [1, 2, 3, 4], 0.0, id="reversed"),
        pytest.param([0, 1, 0, 1], [1, 1, 1, 1], 0.5, id="constant"),
        # Pairs (3, 1), (3, 2) won, (1, 1) tied, (1, 2) lost: 2.5 of 4.
        pytest.param([1, 1, 0, 0], [3, 1, 1, 2], 2.5 / 4, id="one tie"),
    ],
)
def test_auc_by_hand(labels, scores, area):
    assert auc(np.array(labels, float), np.array(scores, float)) == pytest.approx(area)


@pytest.mark.parametrize(
    ("labels", "scores"),
    [
        pytest.param([1, 1], [0.1, 0.2], id="no negative"),
        pytest.param([0, 0], [0.1, 0.2], id="no positive"),
        pytest.param([1, 0], [NAN, 0.2], id="a score that is nan"),
        pytest.param([1, 0], [INF, 0.2], id="a score that is infinite"),
        pytest.param([], [], id="no rows"),
    ],
)
def test_auc_is_nan_if_there_is_no_pair_to_compare(labels, scores):
    assert np.isnan(auc(np.array(labels, float), np.array(scores, float)))


def test_auc_leaves_out_rows_of_weight_zero():
    labels, scores = np.array([1.0, 0.0, 0.0]), np.array([2.0, 1.0, 3.0])
    assert auc(labels, scores) == 0.5
    assert auc(labels, scores, np.array([1.0, 1.0, 0.0])) == 1.0


@pytest.mark.parametrize(
    ("labels", "probabilities", "loss"),
    [
        pytest.param([1, 0], [0.8, 0.4], -(np.log(0.8) + np.log(0.6)) / 2, id="by hand"),
        pytest.param([1, 0], [0.5, 0.5], np.log(2), id="a coin"),
        pytest.param([1], [0.0], -np.log(1e-7), id="a certain and wrong prediction is clipped"),
    ],
)
def test_log_loss(labels, probabilities, loss):
    assert log_loss(np.array(labels, float), np.array(probabilities)) == pytest.approx(loss)


def test_log_loss_leaves_out_rows_of_weight_zero():
    labels, p = np.array([1.0, 1.0]), np.array([0.5, 0.001])
    assert log_loss(labels, p, np.array([1.0, 0.0])) == pytest.approx(np.log(2))
    assert np.isnan(log_loss(labels, p, np.zeros(2)))


def test_the_log_loss_of_a_nan_is_nan():
    assert np.isnan(log_loss(np.array([1.0, 0.0]), np.array([NAN, 0.5])))


@pytest.mark.parametrize(
    ("labels", "probabilities", "bins", "expected"),
    [
        pytest.param([0, 1, 1, 1], [0.1, 0.3, 0.6, 0.8], 2, [(0.2, 0.5, 2), (0.7, 1.0, 2)], id="two halves"),
        pytest.param([1, 0, 1, 1], [0.6, 0.1, 0.8, 0.3], 2, [(0.2, 0.5, 2), (0.7, 1.0, 2)], id="rows out of order"),
        pytest.param([0, 1], [0.2, 0.4], 15, [(0.2, 0.0, 1), (0.4, 1.0, 1)], id="fewer rows than bins"),
        pytest.param([0, 0, 1, 1], [0.5] * 4, 2, [(0.5, 0.5, 4)], id="equal predictions share a bin"),
        # The three equal predictions are ranked 2 to 4 of 4. Their mean rank of 3 is in the upper half.
        pytest.param(
            [0, 1, 1, 1], [0.1, 0.9, 0.9, 0.9], 2, [(0.1, 0, 1), (0.9, 1, 3)], id="ties go by their mean rank"
        ),
        pytest.param([], [], 15, [], id="no rows"),
    ],
)
def test_reliability(labels, probabilities, bins, expected):
    parts = reliability(np.array(labels, float), np.array(probabilities, float), bins)
    assert parts == [pytest.approx(part) for part in expected]


def test_bins_of_distinct_predictions_have_equal_mass():
    probabilities = np.random.default_rng(0).random(90) ** 4  # most of them small
    parts = reliability(np.zeros(90), probabilities, 15)
    assert [size for _, _, size in parts] == [6] * 15
    assert [mean for mean, _, _ in parts] == pytest.approx(np.sort(probabilities).reshape(15, 6).mean(axis=1))


@pytest.mark.parametrize(
    ("labels", "probabilities", "error"),
    [
        # Bins (0.2, 0.5) and (0.7, 1.0), two rows each: 0.3 and 0.3.
        pytest.param([0, 1, 1, 1], [0.1, 0.3, 0.6, 0.8], 0.3, id="too low by 0.3 in both"),
        # All labels are 0: three rows predict 0.1 and one predicts 0.9, so the error is (3 * 0.1 + 0.9) / 4.
        pytest.param([0, 0, 0, 0], [0.1, 0.1, 0.1, 0.9], 0.3, id="weighted by rows"),
        pytest.param([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5], 0.0, id="calibrated"),
        pytest.param([0, 1], [0.0, 1.0], 0.0, id="certain and right"),
        pytest.param([1, 0], [0.0, 1.0], 1.0, id="certain and wrong"),
    ],
)
def test_expected_calibration_error(labels, probabilities, error):
    measured = expected_calibration_error(np.array(labels, float), np.array(probabilities), bins=2)
    assert measured == pytest.approx(error)


def test_expected_calibration_error_of_no_rows_is_nan():
    assert np.isnan(expected_calibration_error(np.array([]), np.array([])))


def width(interval) -> float:
    return interval.high - interval.low


def test_the_interval_of_a_constant_has_no_width():
    interval = bootstrap_mean(np.full(50, 0.25), np.arange(50) // 5, seed=0)
    assert (interval.mean, interval.low, interval.high) == (0.25, 0.25, 0.25)


def test_two_listeners_who_disagree_give_the_widest_interval():
    # Two draws from {0, 1} are both 0 in a quarter of the rounds, and both 1 in another quarter.
    interval = bootstrap_mean(np.array([0.0, 1.0]), np.array(["u", "v"]), seed=0)
    assert (interval.mean, interval.low, interval.high) == (0.5, 0.0, 1.0)


def test_the_interval_agrees_with_the_normal_approximation():
    values = np.random.default_rng(0).normal(size=2000)
    interval = bootstrap_mean(values, np.arange(2000), seed=0)
    half = 1.96 * values.std() / np.sqrt(2000)
    assert (interval.low, interval.high) == pytest.approx((interval.mean - half, interval.mean + half), abs=0.1 * half)


def test_listeners_are_resampled_instead_of_rows():
    # The same values, from 400 listeners with a row each or from 8 listeners with 50 equal rows each.
    values = (np.arange(400) // 50 % 2).astype(float)
    many, few = bootstrap_mean(values, np.arange(400), seed=0), bootstrap_mean(values, np.arange(400) // 50, seed=0)
    assert many.mean == few.mean == 0.5
    assert width(few) > 4 * width(many)


def test_the_interval_is_wider_for_fewer_listeners():
    values = np.random.default_rng(0).normal(size=400)
    assert width(bootstrap_mean(values[:50], np.arange(50), 0)) > 2 * width(bootstrap_mean(values, np.arange(400), 0))


def test_the_bootstrap_is_deterministic_for_a_seed():
    values, groups = np.random.default_rng(0).normal(size=60), np.arange(60) % 7
    assert bootstrap_mean(values, groups, seed=1) == bootstrap_mean(values, groups, seed=1)
    assert bootstrap_mean(values, groups, seed=1) != bootstrap_mean(values, groups, seed=2)


def test_a_bootstrap_in_small_batches_gives_the_same_interval(monkeypatch):
    values = np.random.default_rng(0).normal(size=60)
    whole = bootstrap_mean(values, np.arange(60), seed=1)
    monkeypatch.setattr(metrics, "RESAMPLED_GROUPS", 60 * 7)  # 7 rounds at once
    part = bootstrap_mean(values, np.arange(60), seed=1)
    assert (part.low, part.high) == pytest.approx((whole.low, whole.high))


def test_one_listener_alone_has_no_interval():
    interval = bootstrap_mean(np.array([0.0, 1.0]), np.array(["u", "u"]), seed=0)
    assert (interval.mean, interval.low, interval.high) == (0.5, 0.5, 0.5)

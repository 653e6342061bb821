"""Metrics of ranked lists and of probabilities, and the bootstrap that says how sure they are."""

from dataclasses import dataclass

import numpy as np

DRAWN = 10**7  # figures that a bootstrap holds at once: 80 MB


def rank_of_target(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The place of each row's one relevant item, 0 the best.

    Ties count half of their number, so that a constant score puts every item in the middle.

    Args:
        scores: `[n, items]`; minus infinity where an item is not a candidate.
        target: the relevant item of each row, `[n]`.

    Returns:
        `[n]` float; infinite where the relevant item itself is no candidate or its score is nan.
    """
    own = np.take_along_axis(scores, target[:, None], axis=1)
    better = (scores > own).sum(axis=1)
    tied = (scores == own).sum(axis=1) - 1
    return np.where(own[:, 0] > -np.inf, better + tied / 2, np.inf)  # nan is not greater either


def recall_at(rank: np.ndarray, k: int) -> np.ndarray:
    """1 where the one relevant item is among the first `k`, else 0: `[n]`."""
    return (rank < k).astype(np.float64)


def ndcg_at(rank: np.ndarray, k: int) -> np.ndarray:
    """NDCG with one relevant item: `1 / log2(rank + 2)` within the first `k`, else 0: `[n]`.

    Järvelin and Kekäläinen, TOIS 2002; the ideal gain of one relevant item is 1.
    """
    return np.where(rank < k, 1.0 / np.log2(np.where(rank < k, rank, 0) + 2.0), 0.0)


def reciprocal_rank(rank: np.ndarray) -> np.ndarray:
    """`1 / (rank + 1)`, 0 where the one relevant item was not found: `[n]`; its mean is the MRR.

    Voorhees, TREC 1999.
    """
    return 1.0 / (rank + 1.0)


def auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Area under the ROC curve by the rank-sum statistic, ties counting half.

    Hanley and McNeil, Radiology 1982.

    Args:
        labels: 0 or 1, `[n]`.
        scores: `[n]`.
        weights: rows of weight 0 are left out.

    Returns:
        The probability that a positive outranks a negative; nan if either is missing or a score is nan.
    """
    if weights is not None:
        labels, scores = labels[weights > 0], scores[weights > 0]
    positives = int((labels == 1).sum())
    negatives = len(labels) - positives
    if positives == 0 or negatives == 0 or np.isnan(scores).any():
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    average_rank = np.cumsum(counts) - (counts - 1) / 2  # 1-based, ties share their mean rank
    rank_sum = average_rank[inverse][labels == 1].sum()
    return float((rank_sum - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Mean binary cross-entropy in nats; rows of weight 0 are left out; nan if none are left."""
    if weights is not None:
        labels, probabilities = labels[weights > 0], probabilities[weights > 0]
    if len(labels) == 0:
        return float("nan")
    p = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    return float(-np.mean(labels * np.log(p) + (1 - labels) * np.log(1 - p)))


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> list[tuple[float, float, int]]:
    """What was predicted against what came true, in bins of equal mass from the lowest prediction up.

    Equal predictions share a bin, so that the order of rows plays no part; bins may then differ in size, and
    empty ones are left out.

    Args:
        labels: 0 or 1, `[n]`.
        probabilities: `[n]`.
        bins: at most so many.

    Returns:
        For each bin its mean prediction, mean label and number of rows.
    """
    _, inverse, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2) / max(len(labels), 1)  # share of rows below, ties half
    member = (middle * bins).astype(np.int64)[inverse]
    size, predicted, true = (np.bincount(member, w, bins) for w in (None, probabilities, labels))
    return [(float(predicted[b] / size[b]), float(true[b] / size[b]), int(size[b])) for b in np.flatnonzero(size)]


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> float:
    """Mean distance of prediction and truth over the bins of `reliability`, weighted by their rows.

    Naeini et al., AAAI 2015; nan without rows.
    """
    parts = reliability(labels, probabilities, bins)
    distance = sum(abs(predicted - true) * size for predicted, true, size in parts)
    return distance / len(labels) if len(labels) else float("nan")


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


def bootstrap_mean(values: np.ndarray, groups: np.ndarray, seed: int, rounds: int = 1000) -> Interval:
    """The mean of `values` with a percentile interval, resampling whole groups.

    Rows of one listener are not independent, so listeners are drawn, not rows.
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 8.

    Args:
        values: `[n]`, for instance differences between two models on the same rows.
        groups: the listener of each row, `[n]`.
        seed: of the resampling.
        rounds: resamples.
    """
    _, index = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(index, weights=values), np.bincount(index)
    rng, even = np.random.default_rng(seed), np.full(len(sums), 1 / len(sums))
    held = max(1, DRAWN // len(sums))  # rounds at once
    means = []
    for first in range(0, rounds, held):
        drawn = rng.multinomial(len(sums), even, size=min(held, rounds - first))
        means.append((drawn @ sums) / (drawn @ counts))
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))

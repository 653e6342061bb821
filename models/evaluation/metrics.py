"""Metrics of one relevant item a row and of predicted probabilities, and the bootstrap interval of a mean."""

from dataclasses import dataclass

import numpy as np

RESAMPLED_GROUPS = 1_000_000  # rounds x groups that the bootstrap holds at once: about 25 MB


def rank_of_target(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Rank of each row's relevant item, 0 for the best.

    Items that tie with the target count half, so a constant score ranks every item in the middle.

    Args:
        scores: `[n, items]`; minus infinity where an item is not a candidate.
        target: index of the relevant item of each row, `[n]`.

    Returns:
        `[n]` float; infinite where the relevant item is not a candidate or its score is nan.
    """
    target_score = np.take_along_axis(scores, target[:, None], axis=1)
    better = (scores > target_score).sum(axis=1)
    tied = (scores == target_score).sum(axis=1) - 1
    # A comparison with nan is false, so a nan score is not found either.
    return np.where(target_score[:, 0] > -np.inf, better + tied / 2, np.inf)


def recall_at(rank: np.ndarray, k: int) -> np.ndarray:
    """1 where the relevant item is among the first `k`, else 0: `[n]`."""
    return (rank < k).astype(np.float64)


def ndcg_at(rank: np.ndarray, k: int) -> np.ndarray:
    """NDCG with one relevant item: `1 / log2(rank + 2)` within the first `k`, else 0: `[n]`.

    Järvelin and Kekäläinen, TOIS 2002; the ideal gain of one relevant item is 1.
    """
    return np.where(rank < k, 1.0 / np.log2(np.where(rank < k, rank, 0) + 2.0), 0.0)


def reciprocal_rank(rank: np.ndarray) -> np.ndarray:
    """`1 / (rank + 1)`, 0 where the relevant item was not found: `[n]`; the mean is the MRR.

    Voorhees, TREC 1999.
    """
    return 1.0 / (rank + 1.0)


def auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Area under the ROC curve, by scikit-learn.

    Args:
        labels: 0 or 1, `[n]`.
        scores: `[n]`.
        weights: rows of weight 0 are left out, all others count alike, `[n]`.

    Returns:
        The probability that a positive outranks a negative, ties counting half; nan if either label is missing or
        a score is not finite.
    """
    from sklearn.metrics import roc_auc_score

    if weights is not None:
        labels, scores = labels[weights > 0], scores[weights > 0]
    if len(np.unique(labels)) < 2 or not np.isfinite(scores).all():
        return float("nan")
    return float(roc_auc_score(labels, scores))


def log_loss(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Mean binary cross-entropy in nats, by scikit-learn.

    Args:
        labels: 0 or 1, `[n]`.
        probabilities: probabilities of label 1, clipped to [1e-7, 1 - 1e-7], `[n]`.
        weights: rows of weight 0 are left out, all others count alike, `[n]`.

    Returns:
        The loss; nan if no row is left or a probability is nan.
    """
    from sklearn.metrics import log_loss as mean_log_loss

    if weights is not None:
        labels, probabilities = labels[weights > 0], probabilities[weights > 0]
    if len(labels) == 0 or np.isnan(probabilities).any():
        return float("nan")
    clipped = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    return float(mean_log_loss(labels, clipped, labels=[0, 1]))


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> list[tuple[float, float, int]]:
    """Mean prediction and mean label in bins of equal mass, lowest predictions first.

    Equal predictions share a bin, so the order of the rows does not matter. Bins may then differ in size, and empty
    bins are left out. `sklearn.calibration.calibration_curve` gives no bin sizes, and the calibration error needs them.

    Args:
        labels: 0 or 1, `[n]`.
        probabilities: probabilities of label 1, `[n]`.
        bins: the largest number of bins.

    Returns:
        For each bin its mean prediction, mean label and number of rows.
    """
    _, inverse, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    quantile = (np.cumsum(counts) - counts / 2) / max(len(labels), 1)  # share of rows below, ties counting half
    bin_of_row = (quantile * bins).astype(np.int64)[inverse]
    size, predicted, positive = (np.bincount(bin_of_row, w, bins) for w in (None, probabilities, labels))
    return [(float(predicted[b] / size[b]), float(positive[b] / size[b]), int(size[b])) for b in np.flatnonzero(size)]


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> float:
    """Mean distance between prediction and label over the bins of `reliability`, weighted by their rows.

    Naeini et al., AAAI 2015; nan without rows.
    """
    parts = reliability(labels, probabilities, bins)
    distance = sum(abs(prediction - label) * size for prediction, label, size in parts)
    return distance / len(labels) if len(labels) else float("nan")


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % confidence interval."""

    mean: float
    low: float
    high: float


def bootstrap_mean(values: np.ndarray, groups: np.ndarray, seed: int, rounds: int = 1000) -> Interval:
    """The mean of `values` with a percentile interval, resampling whole groups, by SciPy.

    Rows of one listener are not independent, so listeners are resampled instead of rows.
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 8.

    Args:
        values: `[n]`, for instance differences between two models on the same rows.
        groups: the listener of each row, `[n]`.
        seed: seed of the resampling.
        rounds: number of resamples.

    Returns:
        The interval; without width if there is only one group, which cannot be resampled.
    """
    from scipy.stats import bootstrap

    mean = float(values.mean())
    _, index = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(index, weights=values), np.bincount(index)
    if len(sums) < 2:
        return Interval(mean, mean, mean)
    interval = bootstrap(
        (sums, counts),
        lambda sums, counts, axis: sums.sum(axis=axis) / counts.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=rounds,
        batch=max(1, RESAMPLED_GROUPS // len(sums)),
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean, float(interval.low), float(interval.high))

"""Counterfactual evaluation: estimate the reward of a target policy from the log of another policy.

Each row of the log is a decision: an item shown, the probability with which the logging policy showed it (its
propensity), and the reward that followed. The target policy shows the same item in the same context with another
probability; the ratio of the two is the row's weight. Rows of one listener or request are not independent, so every
interval resamples groups.

An estimate says nothing about items that the logging policy never shows, and little where few rows carry the weight:
read it together with its effective sample size.
"""

from dataclasses import dataclass

import numpy as np

from segue.errors import InputError

Z = 1.959964  # half width of the normal distribution's 95 % interval, in standard errors
ROUNDS = 1000  # resamples of the groups
CELLS = 1_000_000  # rounds x groups held in memory at once
TOLERANCE = 1e-9  # a sum of probabilities may exceed 1 by rounding


@dataclass(frozen=True)
class Estimate:
    """The estimated mean reward of a decision under the target policy.

    Attributes:
        value: the estimate, in units of the reward.
        low: lower end of its 95 % interval.
        high: upper end of its 95 % interval.
        effective_sample_size: number of rows of equal weight that would be as informative (Kong 1992).
        clipped: share of the rows whose weight was clipped, 0 to 1.
    """

    value: float
    low: float
    high: float
    effective_sample_size: float
    clipped: float


def ips(
    rewards: np.ndarray,
    logged_propensity: np.ndarray,
    target_probability: np.ndarray,
    groups: np.ndarray,
    seed: int,
    clip: float | None = None,
) -> Estimate:
    """Inverse propensity scoring: the mean of the weighted rewards; unbiased unless clipped.

    Horvitz and Thompson, JASA 1952.

    Args:
        rewards: reward of each decision, `[n]`.
        logged_propensity: probability with which the logging policy showed the item, `[n]`, in (0, 1].
        target_probability: probability with which the target policy shows it in the same context, `[n]`, in [0, 1].
        groups: the listener or request of each row, `[n]`.
        seed: seed of the resampling for the interval.
        clip: the largest weight. Clipping reduces the variance, and biases the estimate downwards if no reward is
            negative.

    Raises:
        InputError: an array breaks its rule, there are fewer than two groups, or all weights are 0.
    """
    weights, clipped = importance(rewards, logged_propensity, target_probability, groups, clip)
    return estimate(weights * rewards, np.ones(len(rewards)), groups, seed, weights, clipped)


def snips(
    rewards: np.ndarray,
    logged_propensity: np.ndarray,
    target_probability: np.ndarray,
    groups: np.ndarray,
    seed: int,
    clip: float | None = None,
) -> Estimate:
    """Self-normalised IPS: the weighted mean of the rewards.

    The estimate stays within the range of the rewards and varies less than `ips`; its bias vanishes as the log grows.
    Swaminathan and Joachims, The self-normalized estimator for counterfactual learning, NIPS 2015.

    Args:
        rewards: as for `ips`, `[n]`.
        logged_propensity: as for `ips`, `[n]`.
        target_probability: as for `ips`, `[n]`.
        groups: as for `ips`, `[n]`.
        seed: as for `ips`.
        clip: as for `ips`.

    Raises:
        InputError: as for `ips`.
    """
    weights, clipped = importance(rewards, logged_propensity, target_probability, groups, clip)
    return estimate(weights * rewards, weights, groups, seed, weights, clipped)


def doubly_robust(
    rewards: np.ndarray,
    logged_propensity: np.ndarray,
    target_probability: np.ndarray,
    groups: np.ndarray,
    predicted: np.ndarray,
    predicted_under_target: np.ndarray,
    seed: int,
    clip: float | None = None,
) -> Estimate:
    """Doubly robust estimate: a reward model, corrected by its weighted errors on the log.

    Unless clipped, the estimate is unbiased if either the propensities or the model are right; a better model gives a
    narrower interval. The model must not have been fitted on the rewards that it predicts: see `cross_fitted_means`.
    Dudík, Langford and Li, Doubly robust policy evaluation and learning, ICML 2011.

    Args:
        rewards: as for `ips`, `[n]`.
        logged_propensity: as for `ips`, `[n]`.
        target_probability: as for `ips`, `[n]`.
        groups: as for `ips`, `[n]`.
        predicted: the model's reward for the item shown, `[n]`.
        predicted_under_target: the model's expected reward in the row's context under the target policy, `[n]`.
        seed: as for `ips`.
        clip: as for `ips`.

    Raises:
        InputError: as for `ips`.
    """
    weights, clipped = importance(rewards, logged_propensity, target_probability, groups, clip)
    check_finite("predicted", predicted, len(rewards))
    check_finite("predicted_under_target", predicted_under_target, len(rewards))
    terms = predicted_under_target + weights * (rewards - predicted)
    return estimate(terms, np.ones(len(rewards)), groups, seed, weights, clipped)


def cross_fitted_means(
    rewards: np.ndarray, actions: np.ndarray, groups: np.ndarray, action_count: int, strength: float = 10.0
) -> np.ndarray:
    """A simple reward model: each action's mean reward, shrunk towards the overall mean.

    The groups are split into halves, and each row is predicted from the half that does not hold its group. So no
    reward takes part in its own prediction (Chernozhukov et al., Double/debiased machine learning, 2018).

    Args:
        rewards: reward of each decision, `[n]`.
        actions: the item shown, 0 to `action_count` - 1, `[n]`.
        groups: the listener or request of each row, `[n]`.
        action_count: number of items.
        strength: number of rows that the overall mean counts as.

    Returns:
        `[n, action_count]`: the predicted reward of every action in each row.
    """
    _, index = np.unique(groups, return_inverse=True)
    half = index % 2
    means = np.zeros((2, action_count))
    for side in (0, 1):
        other = half != side
        counts = np.bincount(actions[other], minlength=action_count)
        sums = np.bincount(actions[other], weights=rewards[other], minlength=action_count)
        means[side] = (sums + strength * rewards[other].mean()) / (counts + strength)
    return means[half]


def importance(
    rewards: np.ndarray,
    logged_propensity: np.ndarray,
    target_probability: np.ndarray,
    groups: np.ndarray,
    clip: float | None,
) -> tuple[np.ndarray, float]:
    """Check the arrays; return their weights `[n]` and the share of clipped weights.

    Clipping at a constant: Ionides, Truncated importance sampling, JCGS 2008.
    """
    check_finite("rewards", rewards, len(rewards))
    check_finite("logged_propensity", logged_propensity, len(rewards))
    check_finite("target_probability", target_probability, len(rewards))
    check_length("groups", groups, len(rewards))
    check_range("logged_propensity", logged_propensity, logged_propensity > 0, "above 0 and at most 1")
    check_range("target_probability", target_probability, target_probability >= 0, "0 to 1")
    if len(np.unique(groups)) < 2:
        raise InputError(
            "An interval needs two or more groups. Received one.",
            "Pass the listener or the request of each row as `groups`.",
        )
    if clip is not None and not clip > 0:
        raise InputError(f"`clip` must be above 0. Received {clip}.", "Pass the largest weight, or None for no limit.")
    weights = target_probability / logged_propensity
    if not weights.any():
        raise InputError(
            "The target policy must show at least one of the logged items. All its probabilities are 0.",
            "Evaluate it on the log of a policy that shows the same items.",
        )
    if clip is None:
        return weights, 0.0
    return np.minimum(weights, clip), float((weights > clip).mean())


def estimate(
    numerator: np.ndarray,
    denominator: np.ndarray,
    groups: np.ndarray,
    seed: int,
    weights: np.ndarray,
    clipped: float,
) -> Estimate:
    """A ratio of sums with its interval and its effective sample size.

    A mean is such a ratio too, since a group's number of rows is as random as its rewards. The standard error is
    cluster-robust by the delta method (Liang and Zeger, Biometrika 1986). With a few large weights the normal interval
    is too narrow. So the half width, in standard errors, comes from resampling the groups (the symmetric bootstrap-t:
    Hall, On symmetric bootstrap confidence intervals, JRSS B 1988), and is at least the normal one. SciPy's bootstrap
    offers the percentile, basic and BCa intervals, but not this one. The effective sample size: Kong, A note on
    importance sampling using standardized weights, 1992.

    Args:
        numerator: numerator of each row, `[n]`.
        denominator: denominator of each row, `[n]`, 0 or more, not all 0.
        groups: the listener or request of each row, `[n]`.
        seed: seed of the resampling.
        weights: weights of each row, `[n]`.
        clipped: share of clipped weights.
    """
    _, index = np.unique(groups, return_inverse=True)
    bottom = np.bincount(index, weights=denominator)  # [groups]
    value = numerator.sum() / denominator.sum()
    residual = np.bincount(index, weights=numerator) - value * bottom  # [groups]
    error = np.sqrt(len(bottom) / (len(bottom) - 1) * (residual**2).sum()) / bottom.sum()
    reach = max(Z, studentised(residual, bottom, seed)) * error
    size = weights.sum() ** 2 / (weights**2).sum()
    return Estimate(float(value), float(value - reach), float(value + reach), float(size), clipped)


def studentised(residual: np.ndarray, bottom: np.ndarray, seed: int) -> float:
    """The 95 % quantile of the value's distance from its resampled values, in standard errors of the resample.

    Args:
        residual: residual of each group about the value, `[groups]`.
        bottom: each group's part of the denominator, `[groups]`.
        seed: seed of the resampling.

    Returns:
        The quantile; 0 if every resample has a standard error of 0.
    """
    rng, count = np.random.default_rng(seed), len(bottom)
    moments = np.stack([residual, bottom, residual**2, residual * bottom, bottom**2], axis=1)
    block = max(1, CELLS // count)
    sums = np.concatenate([
        resamples(rng, min(block, ROUNDS - done), count) @ moments for done in range(0, ROUNDS, block)
    ])  # fmt: skip
    moved, below, squares, products, squares_below = sums[sums[:, 1] > 0].T  # [rounds] each
    shift = moved / below
    square = squares - 2 * shift * products + shift**2 * squares_below  # around the resample's value
    # A resample of equal groups has a standard error of 0; a smaller square is rounding.
    has_error = square > 1e-12 * (squares + shift**2 * squares_below)
    if not has_error.any():
        return 0.0
    scale = np.sqrt(count / (count - 1) * square[has_error]) / below[has_error]
    return float(np.quantile(np.abs(shift[has_error]) / scale, 0.95))


def resamples(rng: np.random.Generator, rounds: int, count: int) -> np.ndarray:
    """How often each group is drawn in each round, `[rounds, count]`; each row sums to `count`."""
    drawn = rng.integers(count, size=(rounds, count)) + count * np.arange(rounds)[:, None]
    # One count over all rounds is several times faster than a multinomial draw.
    return np.bincount(drawn.ravel(), minlength=rounds * count).reshape(rounds, count).astype(np.float64)


def check_length(name: str, values: np.ndarray, count: int) -> None:
    """Raise an InputError unless an array has one value per row and there are rows."""
    if values.shape != (count,) or count == 0:
        raise InputError(
            f"`{name}` needs one value for each of 1 or more rows. Received shape {list(values.shape)}, {count} rows.",
            "Pass one-dimensional arrays of the same length.",
        )


def check_finite(name: str, values: np.ndarray, count: int) -> None:
    """Raise an InputError unless an array has one finite number per row."""
    check_length(name, values, count)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise InputError(
            f"`{name}` must be finite. Received {values[bad[0]]} in row {bad[0]} ({len(bad)} rows in all).",
            "Leave out rows without it; only impressions have a propensity.",
        )


def check_range(name: str, values: np.ndarray, above_lower_end: np.ndarray, rule: str) -> None:
    """Raise an InputError unless all probabilities keep the rule; `above_lower_end` is bool `[n]`."""
    bad = np.flatnonzero(~above_lower_end | (values > 1 + TOLERANCE))
    if len(bad):
        raise InputError(
            f"`{name}` must be {rule}. Received {values[bad[0]]} in row {bad[0]} ({len(bad)} rows in all).",
            "Pass the probability of the item that was shown, as a share of 1.",
        )

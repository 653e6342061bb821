"""What a policy that was never shown would have earned, from the log of the one that was.

Each row of the log is one decision: an item shown, the chance that the logging policy gave it (its propensity), and
the reward that followed. A target policy gives the same item another chance in the same context; the ratio of the two
is the row's weight. The rows of one listener or request are not independent, so every interval is by groups.

An estimate says nothing about items that the logging policy can never show, or that the weights hardly reach: read it
with its effective sample size.
"""

from dataclasses import dataclass

import numpy as np

from segue.errors import InputError

Z = 1.959964  # of a 95 % interval under the normal distribution
ROUNDS = 1000  # resamples
CELLS = 1_000_000  # rounds x groups that are held at once
TOLERANCE = 1e-9  # a sum of chances may exceed 1 by rounding


@dataclass(frozen=True)
class Estimate:
    """The mean reward a decision under the target policy.

    Args:
        value: the estimate, in units of the reward.
        low, high: its 95 % interval.
        effective_sample_size: so many rows of equal weight would be as informative (Kong 1992).
        clipped: share of the rows whose weight was cut, 0 to 1.
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
        rewards: what followed each decision `[n]`.
        logged_propensity: chance that the logging policy gave the item shown `[n]`, in (0, 1].
        target_probability: chance that the target policy gives it in the same context `[n]`, in [0, 1].
        groups: the listener or request of each row `[n]`.
        seed: of the resampling behind the interval.
        clip: the largest weight; a limit trades a bias downwards (for rewards of 0 and more) for less variance.

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

    Stays within the range of the rewards and varies less than `ips`, for a bias that vanishes as the log grows.
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
    """A reward model, put right by the weighted errors that it makes on the log.

    Unbiased (unless clipped) if the propensities are right, whatever the model, and if the model is right, whatever
    the propensities; the better the model, the narrower the interval. The model must not have seen the rewards that
    it predicts: see `cross_fitted_means`. Dudík, Langford and Li, Doubly robust policy evaluation and learning,
    ICML 2011.

    Args:
        rewards: as for `ips`, `[n]`.
        logged_propensity: as for `ips`, `[n]`.
        target_probability: as for `ips`, `[n]`.
        groups: as for `ips`, `[n]`.
        predicted: the model's reward of the item shown `[n]`.
        predicted_under_target: the model's expected reward in the row's context under the target policy `[n]`.
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
    """The smallest reward model: each action's mean reward, drawn towards the mean of all.

    Every row is predicted from the half of the groups that it is not in, so that its own reward, and its group's,
    never speak in its prediction (Chernozhukov et al., Double/debiased machine learning, 2018).

    Args:
        rewards: `[n]`.
        actions: the item shown, 0 to `action_count` - 1, `[n]`.
        groups: the listener or request of each row `[n]`.
        action_count: how many items there are.
        strength: the mean of all counts as this many rows.

    Returns:
        `[n, action_count]`: the reward predicted for every action in each row.
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
    """The checked arrays' weights `[n]`, and the share of them that was cut.

    Cutting at a constant is Ionides, Truncated importance sampling, JCGS 2008.
    """
    check_finite("rewards", rewards, len(rewards))
    check_finite("logged_propensity", logged_propensity, len(rewards))
    check_finite("target_probability", target_probability, len(rewards))
    check_length("groups", groups, len(rewards))
    check_range("logged_propensity", logged_propensity, logged_propensity > 0, "above 0 and at most 1")
    check_range("target_probability", target_probability, target_probability >= 0, "0 to 1")
    if len(np.unique(groups)) < 2:
        raise InputError(
            "An interval is by groups and takes two or more. Received one.",
            "Pass the listener or the request of each row as `groups`.",
        )
    if clip is not None and not clip > 0:
        raise InputError(f"`clip` is above 0. Received {clip}.", "Pass the largest weight, or None to keep all.")
    weights = target_probability / logged_propensity
    if not weights.any():
        raise InputError(
            "The target policy shows at least one of the logged items. All its probabilities are 0.",
            "Evaluate it on a log whose policy shows what it shows.",
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
    """A ratio of sums with its effective sample size and its interval.

    A mean is such a ratio too: the number of rows in a group is as random as their rewards. The error is
    cluster-robust by the delta method (Liang and Zeger, Biometrika 1986). A few large weights make the normal
    interval too narrow, so the number of errors that it reaches to either side is found by resampling groups (the
    symmetric bootstrap-t: Hall, On symmetric bootstrap confidence intervals, JRSS B 1988), and is never less than the
    normal's. The effective sample size is Kong, A note on importance sampling using standardized weights, 1992.

    Args:
        numerator: `[n]`.
        denominator: `[n]`, 0 or more, not all 0.
        groups: of each row `[n]`.
        seed: of the resampling.
        weights: of each row `[n]`.
        clipped: share of the weights that was cut.
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
    """How many errors the value moves at most in 95 % of the resamples of groups.

    Args:
        residual: of each group about the value `[groups]`.
        bottom: each group's part of the denominator `[groups]`.
        seed: of the resampling.

    Returns:
        0 if no resample has an error to measure by.
    """
    rng, count = np.random.default_rng(seed), len(bottom)
    moments = np.stack([residual, bottom, residual**2, residual * bottom, bottom**2], axis=1)
    block = max(1, CELLS // count)
    sums = np.concatenate([
        resamples(rng, min(block, ROUNDS - done), count) @ moments for done in range(0, ROUNDS, block)
    ])  # fmt: skip
    moved, below, squares, products, squares_below = sums[sums[:, 1] > 0].T  # [rounds] each
    shift = moved / below
    square = squares - 2 * shift * products + shift**2 * squares_below  # of the residuals about the resample's value
    # A resample of equal groups has no error; what is left of it is rounding.
    known = square > 1e-12 * (squares + shift**2 * squares_below)
    if not known.any():
        return 0.0
    scale = np.sqrt(count / (count - 1) * square[known]) / below[known]
    return float(np.quantile(np.abs(shift[known]) / scale, 0.95))


def resamples(rng: np.random.Generator, rounds: int, count: int) -> np.ndarray:
    """How often each group is drawn in each round `[rounds, count]`; rows sum to `count`."""
    drawn = rng.integers(count, size=(rounds, count)) + count * np.arange(rounds)[:, None]
    # Several times faster than a multinomial draw.
    return np.bincount(drawn.ravel(), minlength=rounds * count).reshape(rounds, count).astype(np.float64)


def check_length(name: str, values: np.ndarray, count: int) -> None:
    """An array has one entry a row, and there are rows."""
    if values.shape != (count,) or count == 0:
        raise InputError(
            f"`{name}` has one value for each of 1 or more rows. Received shape {list(values.shape)} for {count} rows.",
            "Pass one-dimensional arrays of the same length.",
        )


def check_finite(name: str, values: np.ndarray, count: int) -> None:
    """An array has one finite number a row."""
    check_length(name, values, count)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise InputError(
            f"`{name}` is finite. Received {values[bad[0]]} in row {bad[0]} ({len(bad)} rows in all).",
            "Leave out rows without it; only impressions have a propensity.",
        )


def check_range(name: str, values: np.ndarray, above: np.ndarray, rule: str) -> None:
    """A probability is where the rule says; `above` is whether it keeps the lower end `[n]`."""
    bad = np.flatnonzero(~above | (values > 1 + TOLERANCE))
    if len(bad):
        raise InputError(
            f"`{name}` is {rule}. Received {values[bad[0]]} in row {bad[0]} ({len(bad)} rows in all).",
            "Pass the chance of the item that was shown, as a share of 1.",
        )

"""Effects against cases worked by hand and against tea-tasting."""

import math

import numpy as np
import pyarrow as pa
import pytest
import tea_tasting

from experiments.statistics.cuped import adjusted_effect, imbalance
from experiments.statistics.effects import Sums, effect, estimate, linearized
from experiments.statistics.non_inferiority import z_above_margin


def arm(rng, n, lift=0.0, ratio=True) -> Sums:
    """Listeners who differ, with impressions and plays before and after."""
    chance = rng.beta(2, 5, n)
    before, after = rng.poisson(20, n), rng.poisson(30, n) + 1
    plays, earlier = rng.binomial(after, np.clip(chance + lift, 0, 1)), rng.binomial(before, chance)
    ones = np.ones(n)
    denominators = (after, before) if ratio else (ones, ones)
    return Sums(
        plays.astype(float), denominators[0].astype(float), earlier.astype(float), denominators[1].astype(float)
    )


def test_an_estimate_worked_by_hand():
    # Ratio 6 / 3 = 2; influences (x - 2 y) / 1 = -1, 0, 1; variance 1, of the mean 1/3.
    result = estimate(Sums(np.array([1.0, 2, 3]), np.array([1.0, 1, 1])))
    assert (result.value, result.variance, result.units) == (2.0, pytest.approx(1 / 3), 3)
    uneven = linearized(np.array([2.0, 4]), np.array([1.0, 3]))  # ratio 1.5, mean denominator 2
    assert uneven == pytest.approx([0.25, -0.25])


def test_an_effect_worked_by_hand():
    # Control 1 with variance 1/2 (0, 2: deviation sqrt 2, n 2), treatment 2 with variance 1/2.
    result = effect(Sums(np.array([0.0, 2]), np.ones(2)), Sums(np.array([1.0, 3]), np.ones(2)))
    control, treatment = result.control.variance, result.treatment.variance
    assert (control, treatment) == (1.0, 1.0)
    assert (result.difference, result.lift, result.z) == (1.0, 1.0, pytest.approx(1 / math.sqrt(2)))
    assert result.log_error == pytest.approx(math.sqrt(1 / 1 + 1 / 4))


def clustered_variance(numerator, denominator, clusters) -> float:
    """The sandwich of Liang and Zeger 1986 for a weighted mean of rows, with its factor of G / (G - 1)."""
    residuals = numerator - numerator.sum() / denominator.sum() * denominator
    sums = np.bincount(clusters, weights=residuals)
    groups = len(sums)
    return float(groups / (groups - 1) * (sums**2).sum() / denominator.sum() ** 2)


def test_the_delta_method_is_the_cluster_robust_variance_over_rows():
    rng = np.random.default_rng(0)
    clusters = np.sort(rng.integers(0, 300, 5000))
    rows, weights = rng.random(5000), rng.integers(1, 3, 5000).astype(float)
    sums = Sums(np.bincount(clusters, weights=rows), np.bincount(clusters, weights=weights))
    assert clustered_variance(rows, weights, clusters) == pytest.approx(estimate(sums).variance, rel=1e-12)


@pytest.mark.parametrize("ratio", [True, False])
@pytest.mark.parametrize("cuped", [True, False])
def test_ratio_metrics_equal_tea_tasting(ratio, cuped):
    rng = np.random.default_rng(1)
    arms = [arm(rng, 900, ratio=ratio), arm(rng, 1100, 0.03, ratio)]
    names = ("x", "y", "px", "py")
    total = arms[0] + arms[1]
    arrays = (total.numerator, total.denominator, total.before_numerator, total.before_denominator)
    table = pa.table({"variant": np.repeat([0, 1], [900, 1100]), **dict(zip(names, arrays, strict=True))})
    metric = tea_tasting.RatioOfMeans(*names[: 4 if cuped else 2], use_t=False)
    peer = tea_tasting.Experiment(m=metric).analyze(table)["m"]
    ours = adjusted_effect(*arms)[0] if cuped else effect(*arms)
    expected = [
        (ours.control.value, peer.control),
        (ours.treatment.value, peer.treatment),
        (ours.difference, peer.effect_size),
        (ours.interval(1.959963984540054)[0], peer.effect_size_ci_lower),
        (ours.lift, peer.rel_effect_size),
        (ours.lift_interval(1.959963984540054)[1], peer.rel_effect_size_ci_upper),
        (ours.p, peer.pvalue),
        (ours.z, peer.statistic),
    ]
    for mine, theirs in expected:
        assert mine == pytest.approx(theirs, abs=1e-9)


def test_cuped_removes_variance_and_keeps_the_effect():
    rng = np.random.default_rng(2)
    control, treatment = arm(rng, 20_000), arm(rng, 20_000, 0.02)
    adjusted, removed = adjusted_effect(control, treatment)
    plain = effect(control, treatment)
    assert 0.2 < removed < 0.9
    assert adjusted.error == pytest.approx(plain.error * math.sqrt(1 - removed))
    assert adjusted.difference == pytest.approx(0.02, abs=4 * adjusted.error)


def test_without_earlier_sums_nothing_is_removed():
    rng = np.random.default_rng(3)
    control, treatment = arm(rng, 50), arm(rng, 50)
    bare = [Sums(each.numerator, each.denominator) for each in (control, treatment)]
    nobody = [Sums(each.numerator, each.denominator, np.zeros(50), np.zeros(50)) for each in (control, treatment)]
    assert adjusted_effect(*bare) == (effect(*bare), 0.0)
    assert adjusted_effect(*nobody) == (effect(*nobody), 0.0)
    assert imbalance(*bare) == 1.0


def test_an_imbalance_before_the_start_is_seen():
    rng = np.random.default_rng(4)
    control, treatment = arm(rng, 2000), arm(rng, 2000)
    shifted = Sums(treatment.numerator, treatment.denominator, control.before_numerator + 2, control.before_denominator)
    assert imbalance(control, treatment) > 0.001
    assert imbalance(control, shifted) < 1e-6


@pytest.mark.parametrize(("margin", "higher", "z"), [(0.1, True, -0.5), (0.5, True, 0.559), (0.1, False, 0.5)])
def test_non_inferiority_counts_the_control(margin, higher, z):
    # Control 10 and treatment 8.5 (for higher is better) or 9.5, each with variance 1: worked by hand.
    treatment = {True: 8.32, False: 10.26}[higher] if margin == 0.1 else 5.625
    result = effect(*(Sums(value + np.array([-1.0, 1.0]), np.ones(2)) for value in (10.0, treatment)))
    assert (result.control.variance, result.treatment.variance) == (1.0, 1.0)
    factor = 1 - margin if higher else 1 + margin
    by_hand = (treatment - factor * 10) / math.sqrt(1 + factor**2) * (1 if higher else -1)
    assert z_above_margin(result, margin, higher) == pytest.approx(by_hand)
    assert by_hand == pytest.approx(z, abs=0.01)


def test_arms_that_are_constant_and_differ_have_the_error_of_all_units_together():
    # An arm of which every page fails: all units together have variance .25, so the error is sqrt(.25 / 50 + .25 / 50).
    each, none = Sums(np.ones(50), np.ones(50)), Sums(np.zeros(50), np.ones(50))
    assert effect(none, each).z == pytest.approx(1 / np.sqrt(0.25 / 50 + 0.25 / 50))
    assert effect(each, none).z == -effect(none, each).z
    assert effect(none, none).z == effect(each, each).z == 0.0
    one = Sums(np.ones(1), np.ones(1))
    assert effect(none.take(np.array([0])), one).z == 0.0  # the variance of one unit is not known

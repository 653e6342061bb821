"""Corrections, sample ratios, sample sizes, slices, interleaving and switchbacks against cases worked by hand."""

import numpy as np
import pytest
from scipy.stats import norm

from experiments.statistics import interleaving, sample_ratio, sample_size
from experiments.statistics.effects import Effect, Estimate, Sums, effect
from experiments.statistics.multiple import holm, risks
from experiments.statistics.slices import heterogeneity
from experiments.statistics.switchback import student_bound
from segue.errors import InputError


def test_alpha_is_divided_over_success_and_beta_over_guardrails():
    levels = risks(0.05, 0.8, success=2, guardrails=3, others=1, arms=2)
    assert (levels.success, levels.guardrail) == (0.05 / 4, 0.05)
    assert levels.deterioration == pytest.approx(0.05 / 12)
    assert levels.power == pytest.approx(1 - 0.2 / 4)


def test_holm_worked_by_hand():
    # Sorted .01 .02 .04 times 3 2 1 is .03 .04 .04.
    assert holm(np.array([0.04, 0.01, 0.02])) == pytest.approx([0.04, 0.03, 0.04])
    assert holm(np.array([0.5, 0.9])) == pytest.approx([1.0, 1.0])


def test_sample_ratio_worked_by_hand():
    # (10^2 + 10^2) / 100 = 2 at one degree of freedom: p = .1573.
    assert sample_ratio.p_value([110, 90], [0.5, 0.5]) == pytest.approx(0.1573, abs=1e-4)
    assert sample_ratio.p_value([0, 0], [0.5, 0.5]) == 1.0


def test_a_loss_of_5_percent_is_found_and_a_fair_split_is_not():
    assert sample_ratio.sequential_p_value([20_000, 19_000], [0.5, 0.5]) < 0.001
    assert sample_ratio.sequential_p_value([9000, 1000], [0.9, 0.1]) > 0.1


def test_an_arm_that_lost_everybody_is_found_among_few_listeners():
    # The wide prior alone gives 2^20 / 21 for 20 units in one arm; the mean with the narrow one is half of it.
    assert sample_ratio.sequential_p_value([20, 0], [0.5, 0.5]) == pytest.approx(2 * 21 / 2**20, rel=0.01)
    assert sample_ratio.sequential_p_value([44, 0], [0.5, 0.5]) < 1e-9


def test_sequential_sample_ratio_holds_over_many_looks():
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(300):
        counts = np.cumsum(rng.multinomial(200, [0.6, 0.4], size=50), axis=0)
        alarms += min(sample_ratio.sequential_p_value(each, [0.6, 0.4]) for each in counts.tolist()) < 0.05
    assert alarms <= 300 * 0.05


def test_sample_size_worked_by_hand():
    # Two arms of n = 2 * (1.96 + .8416)^2 * 4 / 1^2 = 62.8: 125.6 in both.
    drift = norm.isf(0.025) + norm.ppf(0.8)
    assert sample_size.units_for(1.0, (4.0, 4.0), (0.5, 0.5), drift) == 126
    assert sample_size.expected_z(1.0, (4.0, 4.0), (0.5, 0.5), 126) == pytest.approx(drift, abs=0.01)


def test_a_metric_that_never_happens_has_no_sample_size():
    with pytest.raises(InputError, match="needs a metric that varies"):
        sample_size.units_for(0.0, (0.0, 0.0), (0.5, 0.5), 2.8)


@pytest.mark.parametrize(
    ("units", "arrivals", "days"),
    [(10, [10, 5], 1), (12, [10, 5], 2), (30, [10, 4], 2 + 3), (5, [0, 0], None)],
)
def test_days_until_enough_units_came(units, arrivals, days):
    assert sample_size.days_for(units, arrivals) == days


def made(difference, error):
    return Effect(Estimate(1.0, error**2 / 2, 100), Estimate(1.0 + difference, error**2 / 2, 100))


def test_a_slice_that_differs_from_the_others_is_found():
    assert heterogeneity({"a": made(0.0, 0.1), "b": made(0.0, 0.1), "c": made(1.0, 0.1)})["c"] < 1e-6
    # Two slices: the difference .2 has deviation .1 sqrt 2, z = 1.414, p = .1573.
    assert heterogeneity({"a": made(0.0, 0.1), "b": made(0.2, 0.1)}) == pytest.approx(
        {"a": 0.1573, "b": 0.1573}, abs=1e-4
    )
    assert heterogeneity({"a": made(0.5, 0.1), "b": made(0.5, 0.0)}) == {"a": 1.0}


def test_slices_of_one_effect_differ_rarely():
    rng = np.random.default_rng(0)
    found = [
        holm(np.array(list(heterogeneity({str(i): made(rng.normal(0, 0.1), 0.1) for i in range(6)}).values()))).min()
        for _ in range(400)
    ]
    assert np.mean(np.array(found) < 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_team_draft_takes_turns_and_no_item_twice():
    rng = np.random.default_rng(0)
    items, teams = interleaving.team_draft("abcdef", "acbfed", 6, rng)
    assert sorted(items) == list("abcdef")
    assert all(sorted(teams[i : i + 2]) == [0, 1] for i in (0, 2, 4))
    short, _ = interleaving.team_draft("ab", "b", 5, rng)
    assert sorted(short) == ["a", "b"]
    assert interleaving.team_draft("ab", "ab", 1, rng)[0] == ["a"]


def test_equal_rankers_share_the_first_place():
    rng = np.random.default_rng(1)
    firsts = [interleaving.team_draft("abc", "abc", 3, rng)[1][0] for _ in range(4000)]
    assert np.mean(firsts) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(4000))


def test_preference_is_the_paired_difference():
    first, second = np.array([1.0, 2, 0, 1]), np.array([2.0, 2, 2, 2])
    result = interleaving.preference(first, second)
    assert result.difference == 1.0
    assert result.error == pytest.approx(np.std([1, 0, 2, 1], ddof=1) / 2)


def test_few_blocks_have_wide_bounds():
    result = effect(Sums(np.array([1.0, 3, 5]), np.ones(3)), Sums(np.array([2.0, 4, 6]), np.ones(3)))
    assert student_bound(norm.isf(0.025), result) == pytest.approx(2.776, abs=1e-3)  # t at four degrees of freedom
    assert student_bound(np.inf, result) == np.inf

"""The evidence for a promotion: information by the standard error, bounds that keep the risk, and a latch."""

import numpy as np
import pytest

from experiments.statistics.effects import Effect, Estimate, Sums
from rollout.evidence import Evidence, after, drift, information
from rollout.plan import Plan
from tests.rollout.conftest import look, seen

PLAN = Plan()


def effect(variance: float, control: float = 2.0) -> Effect:
    return Effect(Estimate(control, variance, 100), Estimate(control, variance, 100))


def test_information_is_the_planned_variance_over_the_variance():
    # Margin 5 % of 2.0 is 0.1; the variance of the statistic is v (1 + .95^2).
    needed = (0.1 / drift(0.05, 0.9)) ** 2
    assert information(PLAN, "reward", effect(needed / (1 + 0.95**2))) == pytest.approx(1.0)
    assert information(PLAN, "reward", effect(2 * needed / (1 + 0.95**2))) == pytest.approx(0.5)


def test_the_drift_is_a_little_above_that_of_one_look():
    # One look with one-sided alpha .05 and power .95 for each of two metrics: 1.645 + 1.645.
    assert 3.29 < drift(0.05, 0.9) < 3.5


@pytest.mark.parametrize("control", [0.0, -1.0])
def test_a_margin_of_no_reward_has_no_information(control):
    assert information(PLAN, "reward", effect(0.01, control)) == 0.0
    assert information(PLAN, "reward", effect(0.0)) == 0.0


def test_a_look_that_adds_little_is_not_taken():
    before = Evidence((0.4,))
    small = look(seen(2, reward=2.0), seen(2))
    assert after(PLAN, "reward", before, small) is before


def test_what_was_shown_stays_shown_and_a_complete_metric_takes_no_further_look():
    complete = Evidence((1.0,), True)
    assert after(PLAN, "reward", complete, look(seen(reward=0.1))) is complete
    shown = after(PLAN, "reward", Evidence((0.3,), True), look(seen(reward=1.0)))
    assert shown.shown


@pytest.mark.slow
def test_a_candidate_at_the_margin_is_promoted_as_rarely_as_the_plan_says():
    """Looks at a candidate that is worse by exactly the margin: alpha of them show it to be within."""
    rng = np.random.default_rng(0)
    shown, tests = 0, 150
    for _ in range(tests):
        evidence = Evidence()
        control, candidate = (rng.normal(mean, 0.5, 1200).clip(0) for mean in (2.0, 1.9))
        for units in range(300, 1201, 300):
            sums = [Sums(values[:units], np.ones(units)) for values in (candidate, control)]
            evidence = after(PLAN, "reward", evidence, look(*(seen(units, 1, reward=each) for each in sums)))
        shown += evidence.shown
    assert 1 <= shown <= 16  # 7.5 are expected, with a standard deviation of 2.7

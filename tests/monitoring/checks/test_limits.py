"""Limits on drawn days: what they grow with, and how often a quiet day exceeds one."""

import numpy as np
import pytest

from monitoring.checks.limits import FALSE_ALARMS, LEAST_EVENTS, changes

DAYS, LISTENERS = 43, 400
SKIPS = ("skip_rate", "")


def coins(seed: int, chance: np.ndarray | float, trials: int = 5, days: int = DAYS) -> tuple[np.ndarray, np.ndarray]:
    """Draw successes of trials with a chance, `[days, listeners]` or alike."""
    counts = np.full((days, LISTENERS), trials)
    return np.random.default_rng(seed).binomial(counts, chance), counts


def test_the_limit_of_independent_trials_is_that_of_a_binomial(days_of):
    compared = changes(days_of({SKIPS: coins(1, 0.3)}), frozenset())
    noise = np.sqrt(0.3 * 0.7 * (1 + 1 / 14) / (5 * LISTENERS))
    # One measure: the critical value is the 99 % quantile of the absolute value of a normal number, 2.58.
    assert compared.limit[-1, 0] == pytest.approx(2.58 * noise, rel=0.2)


def test_listeners_who_differ_widen_the_limit(days_of):
    chances = np.repeat([0.05, 0.55], LISTENERS // 2)
    alike, unlike = (changes(days_of({SKIPS: coins(1, each)}), frozenset()) for each in (0.3, chances))
    # The variance of a listener's sum: 5 x .3 x .7 = 1.05 alike, and 5 x (.0475 + .2475) / 2 + 25 x .0625 = 2.3 unlike.
    assert unlike.limit[-1, 0] / alike.limit[-1, 0] == pytest.approx(np.sqrt(2.3 / 1.05), rel=0.2)


def test_days_that_differ_widen_the_limit(days_of):
    chance = 0.3 + np.random.default_rng(2).normal(0, 0.03, (DAYS, 1))
    still, moving = (changes(days_of({SKIPS: coins(1, each)}), frozenset()) for each in (0.3, chance))
    # The noise of a day is sqrt(.21 / 2000) = .0102; with .03 beside it .0317.
    assert moving.limit[-1, 0] / still.limit[-1, 0] == pytest.approx(3.1, rel=0.3)


def test_few_changed_days_of_the_reference_hardly_widen_the_limit(days_of):
    chance = np.full((DAYS, 1), 0.3)
    chance[-4:-1] = 0.6
    still, changed = (changes(days_of({SKIPS: coins(1, each)}), frozenset()) for each in (0.3, chance))
    assert changed.limit[-1, 0] < 1.6 * still.limit[-1, 0]


def test_the_limit_is_no_smaller_than_a_few_events(days_of):
    never = np.zeros((DAYS, LISTENERS)), np.full((DAYS, LISTENERS), 5)
    compared = changes(days_of({("nulls", "position"): never}), frozenset({"nulls"}))
    assert compared.enough.all()
    assert compared.limit[-1, 0] == LEAST_EVENTS / (5 * LISTENERS)
    assert not changes(days_of({("nulls", "position"): never}), frozenset()).enough.any()


@pytest.mark.slow
def test_quiet_days_seldom_exceed_any_limit(days_of):
    measured = {("plays_by_genre", str(n)): coins(n, 0.3, days=143) for n in range(10)}
    sums, failed = days_of(measured), 0
    for day in range(DAYS, 143):
        compared = changes(sums.of(slice(day - DAYS, day)), frozenset())
        failed += (np.abs(compared.now - compared.before)[-1] > compared.limit[-1]).any()
    assert failed <= 5  # of 100, and FALSE_ALARMS is 1 %: P(Poisson(1) > 5) = .0006
    assert FALSE_ALARMS == 0.01


def test_a_day_without_events_is_not_compared(days_of):
    skips, plays = coins(1, 0.3)
    skips[-1] = plays[-1] = 0
    assert np.isnan(changes(days_of({SKIPS: (skips, plays)}), frozenset()).now[-1, 0])

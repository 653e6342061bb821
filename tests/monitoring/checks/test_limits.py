"""Limits on drawn days: what they grow with, what three days add, and how often a quiet window exceeds one."""

import numpy as np
import pytest

from monitoring.checks.limits import FALSE_ALARMS, LEAST_EVENTS, Changes, changes, windowed

DAYS, LISTENERS = 43, 400
SKIPS = ("skip_rate", "")
NONE: frozenset[str] = frozenset()
DAY, THREE_DAYS = 0, 1  # the spans


def passed(compared: Changes) -> np.ndarray:
    """Whether the changes that end with the last day are below their limits `[spans, measures]`."""
    return np.abs(compared.now - compared.before)[:, -1] <= compared.limit[:, -1]


def coins(seed: int, chance: np.ndarray | float, trials: int = 5, days: int = DAYS) -> tuple[np.ndarray, np.ndarray]:
    """Draw successes of trials with a chance, `[days, listeners]` or alike."""
    counts = np.full((days, LISTENERS), trials)
    return np.random.default_rng(seed).binomial(counts, chance), counts


def test_the_limit_of_independent_trials_is_that_of_a_binomial(days_of):
    compared = changes(days_of({SKIPS: coins(1, 0.3)}), NONE, NONE)
    noise = np.sqrt(0.3 * 0.7 * (1 + 1 / 14) / (5 * LISTENERS))
    # For two spans: a little over the 99 % quantile of the absolute value of a normal number, 2.58.
    assert compared.limit[DAY, -1, 0] == pytest.approx(2.7 * noise, rel=0.2)
    # Three days have three times the trials: sqrt((1 / 3 + 1 / 14) / (1 + 1 / 14)) = .61.
    assert compared.limit[THREE_DAYS, -1, 0] / compared.limit[DAY, -1, 0] == pytest.approx(0.61, rel=0.15)


def test_sums_of_spans_end_with_each_day():
    assert windowed(np.array([1, 2, 3, 4, 5]), 3).tolist() == [1, 3, 6, 9, 12]
    assert windowed(np.array([[1.0, 10.0], [2.0, 20.0]]), 3).tolist() == [[1, 10], [3, 30]]


def test_the_days_of_a_span_are_no_part_of_its_base(days_of):
    chance = np.full((DAYS, 1), 0.3)
    chance[-3:] = 0.9
    compared = changes(days_of({SKIPS: coins(1, chance)}), NONE, NONE)
    assert compared.before[THREE_DAYS, -1, 0] == pytest.approx(0.3, abs=0.01)
    assert compared.now[THREE_DAYS, -1, 0] == pytest.approx(0.9, abs=0.01)
    assert compared.before[DAY, -1, 0] == pytest.approx((12 * 0.3 + 2 * 0.9) / 14, abs=0.01)


def test_three_days_find_a_change_that_one_day_cannot_tell_from_chance(days_of):
    chance = np.full((DAYS, 1), 0.3)
    chance[-3:] = 0.33  # sqrt(.21 / 2000) = .0102 a day: 2.9 times that of one day, 4.6 times that of three
    found = [passed(changes(days_of({SKIPS: coins(seed, chance)}), NONE, NONE))[:, 0] for seed in range(20)]
    by_day, by_three_days = 20 - np.sum(found, axis=0)
    assert by_three_days >= 18
    assert by_day <= by_three_days - 5


def test_the_last_day_has_no_part_in_its_own_limit(days_of):
    usual, odd = coins(1, 0.3), coins(1, 0.3)
    odd[0][-1] = odd[1][-1]  # all successes
    one, other = (changes(days_of({SKIPS: each}), NONE, NONE).limit[:, -1, 0] for each in (usual, odd))
    assert one == pytest.approx(other)


def test_lumpy_measures_hardly_blind_the_others(days_of):
    # Twenty trials a day in each of ten levels, and 200 more of one listener on every sixth day.
    random, lumpy = np.random.default_rng(1), {}
    for level in range(10):
        trials = (random.random((DAYS, LISTENERS)) < 0.05).astype(int)
        trials[::6, level] += 200
        lumpy["plays_by_genre", str(level)] = (trials * (np.arange(LISTENERS) % 2), trials)
    alone, beside = (
        changes(days_of({SKIPS: coins(1, 0.3), **more}), NONE, NONE).limit[DAY, -1, 0] for more in ({}, lumpy)
    )
    assert beside < 1.7 * alone  # with one critical value for all, in standard errors, over twice as large


def test_listeners_who_differ_widen_the_limit(days_of):
    chances = np.repeat([0.05, 0.55], LISTENERS // 2)
    alike, unlike = (changes(days_of({SKIPS: coins(1, each)}), NONE, NONE) for each in (0.3, chances))
    # The variance of a listener's sum: 5 x .3 x .7 = 1.05 alike, and 5 x (.0475 + .2475) / 2 + 25 x .0625 = 2.3 unlike.
    assert unlike.limit[DAY, -1, 0] / alike.limit[DAY, -1, 0] == pytest.approx(np.sqrt(2.3 / 1.05), rel=0.2)


def test_days_that_differ_widen_the_limit(days_of):
    chance = 0.3 + np.random.default_rng(2).normal(0, 0.03, (DAYS, 1))
    still, moving = (changes(days_of({SKIPS: coins(1, each)}), NONE, NONE) for each in (0.3, chance))
    # The noise of a day is sqrt(.21 / 2000) = .0102; with .03 beside it .0317.
    assert moving.limit[DAY, -1, 0] / still.limit[DAY, -1, 0] == pytest.approx(3.1, rel=0.3)


def test_a_level_that_stood_still_is_given_the_wander_of_its_check(days_of):
    random = np.random.default_rng(2)
    levels = {("plays_by_genre", str(n)): coins(n, 0.3 + random.normal(0, 0.03 * (n > 0), (DAYS, 1))) for n in range(5)}
    alone = changes(days_of({("plays_by_genre", "0"): levels["plays_by_genre", "0"]}), NONE, NONE)
    beside = changes(days_of({**levels, SKIPS: coins(9, 0.3)}), NONE, NONE)
    assert beside.limit[DAY, -1, 0] > 2 * alone.limit[DAY, -1, 0]
    assert beside.limit[DAY, -1, -1] < 1.5 * alone.limit[DAY, -1, 0]  # another check


def test_few_changed_days_of_the_reference_hardly_widen_the_limit(days_of):
    chance = np.full((DAYS, 1), 0.3)
    chance[-4:-1] = 0.6
    still, changed = (changes(days_of({SKIPS: coins(1, each)}), NONE, NONE) for each in (0.3, chance))
    assert changed.limit[DAY, -1, 0] < 1.6 * still.limit[DAY, -1, 0]


def test_the_limit_is_no_smaller_than_a_few_events(days_of):
    never = np.zeros((DAYS, LISTENERS)), np.full((DAYS, LISTENERS), 5)
    compared = changes(days_of({("nulls", "position"): never}), frozenset({"nulls"}), NONE)
    assert compared.enough.all()
    assert compared.limit[DAY, -1, 0] == LEAST_EVENTS / (5 * LISTENERS)
    assert not changes(days_of({("nulls", "position"): never}), NONE, NONE).enough.any()


@pytest.mark.slow
def test_quiet_days_seldom_exceed_any_limit(days_of):
    measured = {("plays_by_genre", str(n)): coins(n, 0.3, days=143) for n in range(10)}
    sums, failed = days_of(measured), 0
    for day in range(DAYS, 143):
        compared = changes(sums.of(slice(day - DAYS, day)), NONE, NONE)
        failed += not passed(compared).all()
    assert failed <= 5  # of 100, and FALSE_ALARMS is 1 %: P(Poisson(1) > 5) = .0006
    assert FALSE_ALARMS == 0.01


@pytest.mark.slow
def test_days_that_follow_each_other_seldom_exceed_a_limit(days_of):
    # Ten genres whose chance wanders by .025 around .3; a day keeps .7 of the day before. A day's noise is .0103.
    random, measured = np.random.default_rng(1), {}
    for level in range(10):
        wander = np.zeros((DAYS + 200, 1))
        for day in range(1, len(wander)):
            wander[day] = 0.7 * wander[day - 1] + random.normal(0, 0.025 * np.sqrt(1 - 0.7**2))
        measured["plays_by_genre", str(level)] = coins(level, 0.3 + wander, days=DAYS + 200)
    sums = days_of(measured)
    windows = [changes(sums.of(slice(day, day + DAYS)), NONE, NONE) for day in range(200)]
    assert sum(not passed(each).all() for each in windows) <= 3  # 7 if each level had a wander of its own


def test_a_day_without_events_is_not_compared(days_of):
    skips, plays = coins(1, 0.3)
    skips[-1] = plays[-1] = 0
    assert np.isnan(changes(days_of({SKIPS: (skips, plays)}), NONE, NONE).now[DAY, -1, 0])

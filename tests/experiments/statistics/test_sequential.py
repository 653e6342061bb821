"""Sequential bounds against published tables, against spotify-confidence, and by simulation."""

import math

import numpy as np
import pytest
from scipy.stats import norm
from spotify_confidence.analysis.frequentist.sequential_bound_solver import bounds as spotify_bounds

from experiments.statistics import always_valid
from experiments.statistics.sequential import (
    bounds,
    crossing,
    drift_for,
    obrien_fleming,
    pocock,
    power_family,
)
from segue.errors import InputError


@pytest.mark.parametrize(
    ("spend", "table"),
    [  # two-sided 5 %, five equal looks: the R package ldbounds, and Proschan, Lan and Wittes 2006, chapter 5
        (obrien_fleming, [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]),
        (pocock, [2.4380, 2.4268, 2.4102, 2.3966, 2.3860]),
    ],
)
def test_bounds_equal_the_published_ones(spend, table):
    assert bounds(np.arange(1, 6) / 5, spend, 0.025) == pytest.approx(table, abs=2e-4)


@pytest.mark.parametrize("looks", [2, 5, pytest.param(14, marks=pytest.mark.slow)])
@pytest.mark.parametrize("exponent", [1, 2])
def test_bounds_equal_spotify_confidence(looks, exponent):
    shares = np.arange(1, looks + 1) / looks
    peer = spotify_bounds(shares, 0.05, exponent, 8, 2).bounds
    assert np.abs(bounds(shares, power_family(exponent), 0.025) - peer).max() < 1e-4


def test_one_look_is_the_fixed_test():
    assert bounds([1.0], pocock, 0.025) == pytest.approx([norm.isf(0.025)])
    assert drift_for(0.8, [1.0], [norm.isf(0.025)]) == pytest.approx(norm.isf(0.025) + norm.ppf(0.8), abs=1e-5)


def test_all_alpha_is_spent_whatever_the_times_of_the_looks():
    for shares in ([0.02, 0.03, 0.5, 0.501, 1.0], list(np.arange(1, 31) / 30)):
        assert crossing(shares, list(bounds(shares, pocock, 0.025)), 0.0) == pytest.approx(0.025, abs=1e-6)


def test_the_computed_power_is_the_simulated_one():
    shares = np.arange(1, 15) / 14
    limits = bounds(shares, obrien_fleming, 0.025)
    drift = drift_for(0.8, shares, limits)
    steps = np.random.default_rng(0).normal(drift / 14, math.sqrt(1 / 14), (40_000, 14))
    crossed = (steps.cumsum(axis=1) / np.sqrt(shares) > limits).any(axis=1).mean()
    assert crossed == pytest.approx(0.8, abs=4 * math.sqrt(0.16 / 40_000))


def test_a_look_without_new_data_has_the_bound_before():
    limits = bounds([0.5, 0.5, 1.0], obrien_fleming, 0.025)
    assert limits[0] == limits[1]
    assert limits[2] == pytest.approx(bounds([0.5, 1.0], obrien_fleming, 0.025)[1])


@pytest.mark.parametrize("shares", [[], [0.5, 0.4], [0.0, 0.5], [0.5, 1.2]])
def test_shares_that_do_not_rise_are_refused(shares):
    with pytest.raises(InputError, match="rise within"):
        bounds(shares, pocock, 0.025)


def test_an_always_valid_interval_worked_by_hand():
    # a = -2 log .05 + log(1 - 2 log .05) = 5.9915 + 1.9447 = 7.9362 at the units that it is tuned for.
    a = 7.9362
    by_hand = math.sqrt(2 * (a + 1) / a * math.log(math.sqrt(a + 1) / 0.05))
    assert always_valid.critical(1000, 0.05, 1000) == pytest.approx(by_hand, abs=1e-4)
    assert by_hand == pytest.approx(3.0354, abs=1e-3)


def test_its_p_value_is_alpha_where_the_interval_touches_no_effect():
    critical = always_valid.critical(700, 0.05, 1000)
    assert always_valid.p_value(critical, 700, 0.05, 1000) == pytest.approx(0.05)


def test_it_is_narrowest_at_the_units_it_is_tuned_for():
    def width(tuned):
        return always_valid.critical(1000, 0.05, tuned)

    assert width(1000) == pytest.approx(min(width(tuned) for tuned in range(500, 2000, 50)), rel=1e-4)


def test_always_valid_errors_hold_over_many_looks():
    walks = np.random.default_rng(1).normal(size=(2000, 2000)).cumsum(axis=1)[:, 9:]
    looks = np.arange(10, 2001)
    limits = np.array([always_valid.critical(n, 0.05, 500) for n in looks.tolist()])
    assert (np.abs(walks) / np.sqrt(looks) > limits).any(axis=1).mean() < 0.05

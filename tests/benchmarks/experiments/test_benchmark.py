"""The benchmark of experiments on few tests: the peers agree, and the wrong tests are seen."""

import math

import numpy as np
import pytest

from benchmarks.experiments import errors, rankers, world
from benchmarks.experiments.benchmark import run
from benchmarks.experiments.listeners import trial, true_difference


@pytest.mark.slow
def test_the_peers_agree_and_the_wrong_tests_are_seen():
    result = run(40, 20_000, lambda line: None)
    assert result["scorecard"]["largest_difference"] < 1e-9
    assert result["peers"]["tea_tasting_difference"] < 1e-9
    assert result["peers"]["spotify_confidence_difference"] < 1e-4
    for kind in ("aa", "world_aa"):
        assert result[kind]["rows"] > 0.1
        assert result[kind]["obrien_fleming"] < 0.2
    assert result["ab"]["obrien_fleming"] > 0.5
    assert result["interleaving"]["speed_up"] > 2
    assert "scorecard_speedup" not in result["targets"]  # the log is too short


def test_the_true_difference_is_that_of_many_listeners():
    rng = np.random.default_rng(0)
    control, treatment = trial(200_000, 2, 0.3, rng).at(1)
    rates = [arm.numerator.sum() / arm.denominator.sum() for arm in (control, treatment)]
    assert rates[1] - rates[0] == pytest.approx(true_difference(0.3), abs=0.003)
    assert true_difference(0.0) == 0.0


@pytest.mark.slow
def test_a_split_of_the_world_has_each_started_item_once():
    everyone = world.listeners(0, users=100)
    half = errors.DAYS
    control, treatment = everyone.trial("a").at(half - 1)
    both = control + treatment
    assert both.denominator.sum() == everyone.started[:, half:].sum() > 0
    assert both.numerator.sum() == everyone.skipped[:, half:].sum() > 0
    assert both.before_denominator.sum() == everyone.started[:, :half].sum() > 0
    assert (everyone.skipped <= everyone.started).all()
    assert (everyone.trial("a").treated != everyone.trial("b").treated).any()


def test_equal_rows_have_no_difference():
    # 20 of 100 and 30 of 100: variance .0016 + .0021.
    assert errors.row_z((20, 100), (30, 100)) == pytest.approx(0.1 / math.sqrt(0.0037))


def test_wilson_worked_by_hand():
    # 5 of 100: (.05 + .0192) / 1.0384 -+ ...: the interval is .0215 to .1118.
    assert errors.lower(0.05, 100) == pytest.approx(0.0215, abs=1e-4)
    assert errors.upper(0.05, 100) == pytest.approx(0.1118, abs=1e-4)


def test_a_worse_place_is_looked_at_less():
    rng = np.random.default_rng(0)
    plays = np.mean([rankers.played(np.zeros(10), 0.0, rng) for _ in range(4000)], axis=0)
    assert plays[0] == pytest.approx(0.5, abs=0.04)
    assert plays[9] == pytest.approx(0.5 * 0.85**9, abs=0.04)

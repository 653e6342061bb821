"""Verdicts of drawn days, and the cause that failed checks point to."""

import numpy as np
import pytest

from monitoring.checks.rules import RULES
from monitoring.checks.verdicts import cause_of, verdicts
from monitoring.report import Check
from segue.verdict import Verdict

DAYS, LISTENERS = 43, 300
HOME = ("feedback", "home")
SKIPS = ("skip_rate", "")


def drawn(seed: int, chance: float, **changed: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw five trials of each listener a day; `d42=.9` is another chance from day 42 on."""
    chances = np.full((DAYS, 1), chance)
    for day, other in changed.items():
        chances[int(day[1:]) :] = other
    counts = np.full((DAYS, LISTENERS), 5)
    return np.random.default_rng(seed).binomial(counts, chances), counts


def test_a_change_over_its_limit_fails_with_a_sentence(days_of):
    (check,) = verdicts(days_of({SKIPS: drawn(1, 0.3, d42=0.5)}))
    assert not check.verdict.passed
    assert check.verdict.reason.startswith("The share of skips among plays and skips rose from 29.7% to 48.0%;")
    assert check.effect == pytest.approx(0.2, abs=0.05)
    assert check.effect == check.verdict.figures["now"] - check.verdict.figures["before"]
    assert 0 < check.limit < 0.1


def test_a_change_that_three_days_show_says_so(days_of):
    (check,) = verdicts(days_of({SKIPS: drawn(1, 0.3, d40=0.35)}))
    assert not check.verdict.passed
    assert check.verdict.figures["days"] == 3
    assert check.verdict.reason.startswith(
        "The share of skips among plays and skips rose from 29.8% to 33.5% in the last 3 days;"
    )


def test_an_odd_day_fails_no_check_on_the_days_after_it(days_of):
    sums = days_of({SKIPS: drawn(1, 0.3, d40=0.4, d41=0.3)})
    passed = [verdicts(sums.of(slice(0, days)))[0].verdict.passed for days in (41, 42, 43)]
    assert passed == [False, True, True]


def test_three_days_also_show_an_outage_that_one_does_not(days_of):
    (check,) = verdicts(days_of({HOME: drawn(1, 0.5, d40=0.45)}))
    assert (check.verdict.passed, check.verdict.figures["days"]) == (False, 3)


def test_only_the_changes_of_its_direction_fail_a_check(days_of):
    for chance, passed in ((0.8, True), (0.2, False)):  # feedback that is lost, not feedback that is won
        (check,) = verdicts(days_of({HOME: drawn(1, 0.5, d42=chance)}))
        assert check.verdict.passed is passed


def test_the_level_that_changed_most_decides(days_of):
    levels = {("plays_by_genre", name): drawn(n, 0.3) for n, name in enumerate(("folk", "jazz"))}
    (check,) = verdicts(days_of(levels | {("plays_by_genre", "rock"): drawn(3, 0.3, d42=0.6)}))
    assert check.verdict.figures["failed_levels"] == ["rock"]
    assert "The share of rock among plays" in check.verdict.reason


def test_too_few_events_pass_and_say_so(days_of):
    (check,) = verdicts(days_of({SKIPS: (np.zeros((DAYS, 1)), np.ones((DAYS, 1)))}))
    assert check.verdict.passed
    assert (check.effect, check.limit) == (None, None)


@pytest.mark.parametrize("bias", [-0.02, 0, 0.05])  # of the predictions: also where plays minus predicted are negative
def test_predictions_that_are_right_on_most_days_are_judged(days_of, bias):
    quiet, changed = (
        verdicts(days_of({("calibration", "home"): (plays - trials * (0.3 + bias), trials)}))[0]
        for plays, trials in (drawn(1, 0.3), drawn(1, 0.3, d42=0.15))
    )
    assert quiet.verdict.passed
    assert quiet.effect is not None
    assert not changed.verdict.passed
    assert changed.effect == pytest.approx(-0.15, abs=0.04)


def test_predictions_that_become_right_ask_for_nothing(days_of):
    plays, trials = drawn(1, 0.3)
    predicted = np.full((DAYS, 1), 0.5)
    predicted[42:] = 0.3  # a better model was promoted
    (check,) = verdicts(days_of({("calibration", "home"): (plays - trials * predicted, trials)}))
    assert check.verdict.passed
    assert check.effect == pytest.approx(0.2, abs=0.03)


def test_a_limit_that_no_change_can_reach_is_none(days_of):
    # One listener of many brings most trials of a day, so that any share is usual: the limit is over 100 points.
    trials = np.where(np.arange(30) == np.arange(DAYS)[:, None] % 30, 50, 1)
    successes = np.where(trials > 1, trials * (np.arange(DAYS)[:, None] % 2), 0)
    (check,) = verdicts(days_of({HOME: (successes, trials)}))
    assert (check.verdict.passed, check.effect) == (True, None)
    assert check.verdict.reason == "There are too few events to judge."


def test_days_of_an_outage_are_no_part_of_the_base(days_of):
    # Half of the plays are lost on days 38 to 41, so that more of what came are skips. Day 42 is whole again.
    lost = {"d38": 0.1, "d42": 0.5}
    skips = drawn(2, 0.3, d38=0.9, d42=0.3)
    feedback, skipped = verdicts(days_of({HOME: drawn(1, 0.5, **lost), SKIPS: skips}))
    assert feedback.verdict.passed
    assert skipped.verdict.passed
    assert skipped.verdict.figures["before"] == pytest.approx(0.3, abs=0.02)  # and not .47


def check(name: str, part: float) -> Check:
    """A check whose change is a part of its limit."""
    rule = RULES[name]
    return Check(name, rule.kind, rule.response, Verdict(part <= 1, f"{name} changed."), -part * 0.1, 0.1)


@pytest.mark.parametrize(
    ("parts", "cause"),
    [
        ({"skip_rate": 3, "plays_by_genre": 2}, "behaviour"),
        ({"skip_rate": 2, "plays_by_genre": 3}, "genre"),
        ({"plays_by_genre": 2, "new_items": 9, "skip_rate": 0.5}, "catalogue"),
        ({"skip_rate": 9, "feedback": 1.1}, "outage"),
        ({"skip_rate": 9, "skew": 1.1}, "skew"),
        ({"feedback": 1.1, "skew": 9}, "outage"),
        ({"embeddings": 9, "features": 9, "plays_by_genre": 1.1}, "genre"),
        ({"embeddings": 3, "features": 2}, "embeddings"),
    ],
)
def test_an_outage_comes_first_then_skew_then_a_cause_and_then_the_strongest_change(parts, cause):
    found, reason = cause_of([check(name, part) for name, part in parts.items()])
    assert found == cause
    assert reason.endswith("changed.")


def test_no_failed_check_has_no_cause():
    assert cause_of([check("skip_rate", 0.9)]) is None

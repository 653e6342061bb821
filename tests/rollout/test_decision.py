"""The decision of a look: harm first, then data, time, risk and evidence."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from experiments.statistics.effects import Sums
from rollout.decision import decide
from rollout.evidence import Evidence
from rollout.looks import Shadowed
from rollout.plan import Plan
from tests.rollout.conftest import AT, DAY, look, running, seen

SHOWN = {"reward": Evidence((1.0,), True), "skips": Evidence((1.0,), True)}


def test_an_equal_candidate_goes_on_when_the_stage_is_over():
    assert decide(running(), look(), AT + DAY).action == "ramp"
    early = decide(running(), look(), AT + DAY / 2)
    assert (early.action, early.reason) == ("keep", "The stage of 1% lasts until 2026-03-03 00:00 UTC.")


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (seen(errors=20), "Errors are 5.00% of 400 requests, 0.00% of the control's 400."),
        (seen(slow=30), "Slow requests are 7.50% of 400 requests"),
        (seen(reward=1.6), "reward got worse, from 2 to 1.6 in 100 listeners"),
        (seen(skips=0.45), "skips got worse, from 0.3 to 0.45 in 100 listeners"),
    ],
)
@pytest.mark.parametrize("phase", ["running", "held"])
def test_harm_takes_a_candidate_back_at_once(candidate, reason, phase):
    decision = decide(running(phase=phase), look(candidate), AT + timedelta(minutes=1))
    assert decision.action == "take back"
    assert decision.reason.startswith(reason)


@pytest.mark.parametrize(
    "candidate",
    [seen(reward=2.4), seen(skips=0.2), seen(errors=1), seen(slow=2)],
    ids=["reward", "skips", "error", "slow"],
)
def test_a_better_candidate_and_single_failures_are_no_harm(candidate):
    assert decide(running(), look(candidate), AT + DAY).action == "ramp"


def test_failures_of_both_cohorts_are_not_the_candidates():
    outage = look(seen(errors=200, slow=200), seen(errors=200, slow=200))
    assert decide(running(), outage, AT + DAY).action == "ramp"


def test_few_listeners_are_not_compared():
    few = look(seen(29, reward=1.0), seen(29))
    assert decide(running(), few, AT + DAY).action == "ramp"
    assert decide(running(), look(seen(30, reward=1.0), seen(30)), AT + DAY).action == "take back"


@pytest.mark.parametrize("stage", [1, 2, 3, 4])
def test_no_traffic_is_neither_good_nor_bad(stage):
    empty = seen(0)
    for each in (look(empty, empty), look(empty, seen(10)), look(seen(10), empty)):
        assert decide(running(stage), each, AT + 9 * DAY).action == "wait"


def test_a_stage_waits_for_requests_of_its_own():
    rollout = running(requests=(390, 370))
    decision = decide(rollout, look(), AT + DAY)
    assert decision.action == "wait"
    assert decision.reason == "A stage needs 20 requests of each cohort; a cohort has 10 since it began."


def test_a_cohort_that_nobody_asked_yet_is_no_cohort_that_fell_silent():
    decision = decide(running(), look(seen(0), seen(10)), AT + timedelta(minutes=1))
    assert (decision.action, decision.reason) == ("wait", "The candidate has had no request yet.")


@pytest.mark.filterwarnings("error")
def test_requests_without_listeners_exclude_no_loss():
    counted = replace(seen(0), requests=30, newest=AT + DAY)  # the journal was not collected yet
    decision = decide(running(2), look(counted, counted), AT + DAY)
    assert (decision.action, decision.reason[:41]) == ("keep", "A loss of 100% is not excluded yet; at a ")


def test_traffic_that_ended_is_missing():
    decision = decide(running(), look(), AT + 4 * DAY)  # the newest requests came at AT + 2 days
    assert (decision.action, decision.reason) == ("wait", "The control has had no request for 24 hours.")


def test_cohorts_of_other_sizes_than_planned_are_not_compared():
    decision = decide(running(), look(seen(60), seen(140)), AT + DAY)
    assert (decision.action, "140 and 60 listeners" in decision.reason) == ("wait", True)


def test_a_held_roll_out_keeps_its_share():
    assert decide(running(phase="held"), look(), AT + 2 * DAY).action == "keep"


def test_a_stage_goes_on_until_its_loss_is_affordable():
    # Half of the listeners have 0 and half 4: the standard error of a cohort of 100 is 0.2, a tenth of the mean.
    def varied(listeners):
        requests = np.ones(listeners)
        return seen(listeners, 1, reward=Sums(np.tile([0.0, 4.0], listeners // 2), requests))

    decision = decide(running(2), look(varied(100), varied(100)), AT + DAY)
    assert decision.action == "keep"
    assert "at a share of 25%" in decision.reason
    assert decide(running(2), look(varied(10_000), varied(10_000)), AT + DAY).action == "ramp"
    assert decide(running(1), look(varied(100), varied(100)), AT + DAY).action == "ramp"  # 5 % may lose all they have


def test_a_candidate_within_the_margins_is_promoted_from_the_last_stage_only():
    assert decide(running(3), look(), AT + DAY).action == "ramp"
    decision = decide(running(4), look(), AT + DAY)
    assert decision.action == "promote"
    assert decision.reason == "The candidate is not inferior: reward within 5.0% and skips within 5.0% of the control."
    assert {name: each.shown for name, each in decision.evidence.items()} == {"reward": True, "skips": True}


def test_a_promotion_waits_for_listeners():
    plan = Plan(least_listeners=200)
    assert decide(running(4, plan), look(), AT + DAY).action == "wait"


def test_a_candidate_that_is_worse_by_the_margin_is_not_promoted():
    decision = decide(running(4), look(seen(60, reward=1.9), seen(60)), AT + DAY)
    assert (decision.action, "reward is not" in decision.reason) == ("keep", True)


def test_a_person_decides_when_the_information_is_complete():
    evidence = {"reward": Evidence((0.5, 1.0), False), "skips": SHOWN["skips"]}
    decision = decide(running(4, evidence=evidence), look(), AT + DAY)
    assert decision.action == "keep"
    assert decision.reason.endswith("a person decides.")


def test_the_shadow_ends_with_enough_requests_without_harm():
    shadow = running(0)
    few = Shadowed(99, (2, 3), (5, 4))
    assert decide(shadow, replace(look(seen(0), seen(0)), shadow=few), AT).action == "wait"
    enough = replace(look(seen(0), seen(0)), shadow=Shadowed(100, (2, 3), (5, 4)))
    decision = decide(shadow, enough, AT)
    assert (decision.action, decision.reason) == ("ramp", "No harm in 100 requests of the shadow.")
    assert decide(running(0, phase="held"), enough, AT).action == "keep"


@pytest.mark.parametrize("phase", ["running", "held"])
def test_a_candidate_that_fails_in_the_shadow_is_taken_back(phase):
    failed = replace(look(seen(0), seen(0)), shadow=Shadowed(20, (0, 20), (0, 0)))
    decision = decide(running(0, phase=phase), failed, AT)
    assert decision.action == "take back"
    assert decision.reason == "In the shadow: Errors are 100.00% of 20 requests, 0.00% of the control's 20."
    # The same errors of both are not the candidate's: the online store was down.
    both = replace(look(seen(0), seen(0)), shadow=Shadowed(20, (20, 20), (0, 0)))
    assert decide(running(0), both, AT).action == "wait"

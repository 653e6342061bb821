"""The benchmark of roll-outs on few of them, and its world."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from benchmarks.rollout.benchmark import Controller, Outcome, one, summary
from benchmarks.rollout.five_strikes import FiveStrikes
from benchmarks.rollout.world import REQUESTS, STEP, Step, World
from experiments.statistics.effects import ratio
from rollout.plan import Plan
from tests.rollout.conftest import look

AT = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize("effect", [-0.2, 0.05])
def test_the_planted_effect_is_in_the_reward_and_half_of_it_in_the_plays(effect):
    world = World(effect, "rollout/1", 40_000, np.random.default_rng(0))
    for number in range(1, 9):
        step = world.step(0.5, AT + number * STEP)
    control, candidate = step.look.control, step.look.candidate
    reward = ratio(candidate.reward.numerator, candidate.reward.denominator) / ratio(
        control.reward.numerator, control.reward.denominator
    )
    plays = (
        candidate.skips.denominator.sum() / candidate.requests / (control.skips.denominator.sum() / control.requests)
    )
    assert reward == pytest.approx(1 + effect, abs=0.03)
    assert plays == pytest.approx((1 + effect) ** 0.5, abs=0.03)
    assert step.requests == pytest.approx(40_000 * REQUESTS * 2, rel=0.03)
    assert step.by_candidate == pytest.approx(step.requests / 2, rel=0.03)


def test_a_listener_counts_from_the_step_in_which_the_cohort_has_them():
    world = World(0.0, "rollout/1", 5_000, np.random.default_rng(0))
    world.step(0.05, AT)
    early = np.logical_or(*world.cohorts(0.05))
    assert world.since.requests[~early].sum() == 0
    before = world.since.requests[early].sum()
    world.step(0.25, AT + STEP)
    assert world.since.requests[~early].sum() > 0
    assert world.since.requests[early].sum() > before


def fresh(reward: float) -> Step:
    """A step in which the control has a reward of 1 for a request."""
    return Step(look(), (100.0, 100.0), (100 * reward, 100.0), 0, 0)


def test_five_strikes_take_a_candidate_back_and_passed_checks_promote():
    peer = FiveStrikes(Plan(stages=(0.1, 0.5), stage_hours=12))
    actions = [peer.decide(fresh(reward), AT) for reward in (1.0, 0.8, 1.0, 1.0, 1.0)]
    assert actions == ["keep", "keep", "ramp", "keep", "promote"]
    peer = FiveStrikes(Plan())
    assert [peer.decide(fresh(0.8), AT) for _ in range(5)] == ["keep"] * 4 + ["take back"]
    assert peer.decide(Step(look(), (0.0, 0.0), (0.0, 0.0), 0, 0), AT) == "keep"


def test_a_summary_worked_by_hand():
    ends = ("take back", 2, 0.01), ("take back", 3, 0.04), ("promote", 4, 0.1), ("none", 42, 0.5)
    outcomes = [Outcome(*end) for end in ends]
    assert summary(outcomes) == {
        "promoted": 0.25, "taken_back": 0.5, "undecided": 0.25, "in_time": 0.25, "days": 3.5, "seen": 0.07
    }  # fmt: skip


@pytest.mark.slow
def test_a_much_worse_model_is_back_and_a_better_one_is_promoted():
    worse, better = (one(Controller, Plan(), 17_040, effect, [1, 0, 0]) for effect in (-0.4, 0.1))
    assert (worse.end, better.end) == ("take back", "promote")
    assert worse.seen < 0.03
    assert timedelta(days=better.days) > 4 * timedelta(hours=24) - STEP  # each of four stages lasts a day


def test_the_same_seed_gives_the_same_roll_out():
    first, second = (one(Controller, Plan(), 1_704, -0.4, [3, 0, 1]) for _ in range(2))
    assert first == second

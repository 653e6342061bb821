"""The look at a roll-out: counts by request, and the sums of a log of a few rows, worked by hand."""

from datetime import timedelta

import ibis
import numpy as np
import pytest

from experiments.metrics.log import Log
from rollout.decision import decide
from rollout.looks import Shadowed
from rollout.observe import look_at
from surfaces.cohorts.counts import SHADOW, STABLE_SHADOW, Answers
from tests.rollout.conftest import AT, DAY, running

SIDES = {"c1": "candidate", "c2": "candidate", "k1": "control"}
TYPES = {
    "user_id": "string", "item_id": "string", "ts": "timestamp('UTC')", "action": "string", "request_id": "string",
    "exposure": "struct<arms: string, fallback: int32, degraded: array<string>>",
}  # fmt: skip


def row(user, day, action="impression", request="r", named=True):
    arms = f'{{"rollout/1": "{SIDES[user]}", "other": "a"}}' if named and user in SIDES else '{"other": "a"}'
    exposure = {"arms": arms, "fallback": 0, "degraded": []}
    ts = AT + timedelta(days=day)
    return {"user_id": user, "item_id": "i", "ts": ts, "action": action, "request_id": request, "exposure": exposure}


ROWS = [
    # Before: 2 plays of 1 request; the play of 20 days ago is too old.
    row("c1", -2, request="b", named=False), *(row("c1", -2, "play", "b", named=False) for _ in range(2)),
    row("c1", -20, "play", "b", named=False),
    row("c1", 0.1, "play", "x", named=False),  # after the start, before the first exposure to the cohort
    row("c1", 1, request="r1"), row("c1", 1, request="r1"), row("c1", 1.1, "play", "r1"), row("c1", 1.1, "skip", "r1"),
    row("c1", 2, request="r2"), row("c1", 2.1, "play", "r2"),
    row("c2", 1, request="r3"),  # a page without a play counts
    row("k1", 1, request="r4"), row("k1", 1, "skip", "r4"),
    row("other", 1, request="r5"), row("other", 1, "play", "r5"),
    row("c2", 9, "play", "r3"),  # after the look
]  # fmt: skip


def log(rows) -> Log:
    none = ibis.memtable([{"item_id": "i"}])
    return Log(ibis.memtable(rows, schema=ibis.schema(TYPES)), none, none)


@pytest.fixture(scope="module")
def look():
    answers = {
        "candidate": Answers(30, 2, 1, 1.0, newest=AT + DAY),
        "control": Answers(40, 1, 0, 1.0, newest=AT + 2 * DAY),
        STABLE_SHADOW: Answers(9, 1, 2),
        SHADOW: Answers(9, 3, 4),
    }
    return look_at(running(), AT, answers, log(ROWS), AT + 3 * DAY)


def test_requests_are_those_that_the_gateways_counted(look):
    assert look.requests == (40, 30)
    assert (look.candidate.errors, look.candidate.slow, look.candidate.newest) == (2, 1, AT + DAY)
    assert look.shadow == Shadowed(9, (1, 3), (2, 4))


def test_the_sums_of_listeners_worked_by_hand(look):
    reward, skips = look.candidate.reward, look.candidate.skips
    columns = (reward.numerator, reward.denominator, reward.before_numerator, reward.before_denominator)
    assert np.array(columns).T.tolist() == [[2, 2, 2, 1], [0, 1, 0, 0]]
    assert np.array((skips.numerator, skips.denominator)).T.tolist() == [[1, 3], [0, 0]]
    assert look.candidate.listeners == 2
    assert look.control.reward.numerator.tolist() == [0]
    assert look.control.skips.numerator.tolist() == [1]


@pytest.mark.parametrize(
    "empty", [None, log([row("other", 1)]), Log(log(ROWS).events.drop("exposure"), *(ibis.memtable([{"x": 1}]),) * 2)]
)
def test_without_exposures_nobody_is_compared(empty):
    nothing = look_at(running(), AT, {}, empty, AT + DAY)
    assert (nothing.requests, nothing.control.listeners, nothing.candidate.newest) == ((0, 0), 0, None)
    assert decide(running(), nothing, AT + DAY).action == "wait"

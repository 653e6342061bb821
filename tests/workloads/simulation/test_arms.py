"""For which arm a page counts, and what arms were worth by pages whose outcomes are given."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from events.journal.joins import EXPOSURE
from experiments.assignment.assign import Running, assign
from experiments.definition import parse
from tests.support.experiments import definition
from workloads.simulation import arms
from workloads.simulation.arms import counted_arm, worth
from workloads.simulation.day import START

AT = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRST = {"u1": ("control", AT + HOUR)}


def running(**parts) -> Running:
    return Running(parse(definition(**parts)), ((0, 10_000),))


@pytest.mark.parametrize(
    ("user", "at", "overrides", "arm"),
    [
        ("u1", AT, {}, None),
        ("u1", AT + HOUR, {}, "control"),
        ("u1", AT + 24 * HOUR, {}, "control"),
        ("u2", AT + HOUR, {}, None),
        ("u1", AT + HOUR, {"u1": "control"}, None),
    ],
    ids=["before the first exposure", "at it", "later", "never exposed", "a tester"],
)
def test_a_page_counts_for_the_arm_of_its_listener(user, at, overrides, arm):
    assert counted_arm(running(overrides=overrides), FIRST, user, at) == arm


def test_a_page_of_a_switchback_counts_for_the_arm_of_its_block_but_for_the_start_of_it():
    experiment = running(unit="time_block", block_hours=6)
    pages = [AT + hours * HOUR for hours in range(2, 72, 6)]
    given = [assign([experiment], "u1", {}, at)[0].arm for at in pages]
    assert {first == second for first, second in pairwise(given)} == {True, False}
    assert [counted_arm(experiment, FIRST, "u1", at) for at in pages] == given
    assert counted_arm(experiment, FIRST, "u1", AT + 7.4 * HOUR) is None  # a quarter of the block is 1.5 hours


def test_arms_are_worth_what_their_pages_are_while_the_experiment_runs(monkeypatch):
    outcomes = SimpleNamespace(examined=np.array([[1.0, 0.5]]), skip=np.array([[0.25, 0.0]]))
    monkeypatch.setattr(arms, "expected", lambda today, page, moods: outcomes)
    world = SimpleNamespace(user_ids=["u1", "u2", "u3"], day=lambda day: None)
    exposures = [{"arms": '{"more-new": "control"}'}, {"arms": '{"more-new": "treatment"}'}]
    columns = {"user_id": ["u1", "u2"], "ts": [START, START]}
    events = pa.table({**columns, EXPOSURE.name: pa.array(exposures, EXPOSURE.type)})
    moments = [
        SimpleNamespace(visit=SimpleNamespace(user=user, at=at, mood=0), page=None)
        for user, at in ((0, 1), (0, 2), (1, 1), (2, 1))
    ]
    assert worth(world, 0, moments, events, [running()]) == {
        "more-new": {
            "control": {"listeners": 1, "pages": 2, "impressions": 3.0, "plays": 2.5, "skips": 0.5},
            "treatment": {"listeners": 1, "pages": 1, "impressions": 1.5, "plays": 1.25, "skips": 0.25},
        }
    }
    assert worth(world, 0, moments, events, []) == {}

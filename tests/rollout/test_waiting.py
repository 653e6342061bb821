"""Which candidates wait to be tried."""

from dataclasses import replace

import pytest

from rollout.state_file import State
from rollout.waiting import waits
from tests.rollout.conftest import running

ENDED = State(rollout=replace(running(), phase="taken back"))  # of version 2


@pytest.mark.parametrize(
    ("state", "labels", "expected"),
    [
        (State(), {"stable": 1, "canary": 2}, True),
        (State(), {"stable": 1, "canary": 1}, False),
        (State(), {"stable": 1}, False),
        (State(), {"canary": 2}, False),  # there is nothing to compare it with
        (State(rollout=running()), {"stable": 1, "canary": 3}, False),  # one roll-out at a time
        (ENDED, {"stable": 1, "canary": 3}, True),
        (ENDED, {"stable": 1, "canary": 2}, False),  # it was tried
    ],
)
def test_a_canary_waits_unless_it_is_stable_or_was_tried(state, labels, expected):
    assert waits(state, {"ranking": labels}) is expected

"""From a decision to the last answer: the figures by hand, and a real gateway once."""

import pytest

from benchmarks.rollout.last_answers import figures, run, targets
from tests.rollout.conftest import AT


def test_figures_worked_by_hand():
    assert figures([0.1, 0.2, 0.3]) == {"p50": 0.2, "p99": pytest.approx(0.298), "most": 0.3}
    assert targets({"p99": 1.2})["decision_to_last_canary_p99"]["holds"] is False


@pytest.mark.slow
def test_a_gateway_leaves_the_candidate_after_each_decision(rollout_home):
    measured = run(rollout_home, 2, AT, lambda line: None)
    assert measured["decisions"] == 2
    assert measured["pages"] > 8
    assert 0 <= measured["p50"] <= measured["most"] < 5  # the tests share the machine

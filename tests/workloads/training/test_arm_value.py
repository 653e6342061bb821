"""The estimate of an experiment's arms from logged propensities."""

from dataclasses import replace

import pyarrow as pa
import pytest

from events import dataset
from experiments.definition import parse
from surfaces.home.layout import LayoutPolicy
from tests.support.experiments import definition
from tests.support.home_pages import logged
from tests.workloads.training.test_learn_layout import EVEN, imported
from workloads.training.arm_value import forecast, forecasts

WORTH = (0.2, 1.6, 0.6, 0.2)  # of for_you, jump_back_in, new_releases and popular


def arms(*parameters):
    share = 1 / (len(parameters) + 1)
    treatments = [{"name": f"arm{n}", "share": share, "parameters": each} for n, each in enumerate(parameters)]
    return parse(definition(arms=[{"name": "control", "share": share}, *treatments]))


def raised(**weights) -> LayoutPolicy:
    return LayoutPolicy(temperature=1.0).raised(weights)


def test_the_interval_holds_what_the_arm_brings_when_it_is_shown():
    log = logged(EVEN, WORTH, 400, 3, seed=1)
    for policy, sign in ((raised(jump_back_in=1.0), 1), (raised(popular=1.0, jump_back_in=-1.0), -1)):
        result = forecast("arm", log, policy)
        shown = logged(policy, WORTH, 4000, 3, seed=2)
        truth = sum(page.reward for page in shown) / len(shown) - result.plays
        assert result.gain.low < truth < result.gain.high
        assert sign * truth > 0
        assert sign * result.gain.value > 0
        assert 50 < result.gain.effective_sample_size < 1200


@pytest.mark.slow
def test_arms_of_a_definition_are_estimated_where_the_log_can_say(tmp_path):
    log = imported(logged(EVEN, WORTH, 400, 2, seed=6))
    played = {"action": "play", "ms_played": 60_000}
    rows = [row | (played if row["action"] == "like" else {}) for row in log.events.to_pylist()]
    dataset.write(tmp_path / "log", replace(log, events=pa.Table.from_pylist(rows, log.events.schema)))
    planned = arms({"home.weights.jump_back_in": 2.0}, {"home.rows": 3, "home.weights.popular": 1.0}, {})
    estimated, other = forecasts(planned, dataset.load(tmp_path / "log"), LayoutPolicy(temperature=1.0))
    assert (estimated.arm, estimated.reason) == ("arm0", "")
    assert 0.5 < estimated.plays < 2.0  # of two or three shelves with at most one play each
    assert 0 < estimated.gain.low < estimated.gain.value < 1
    assert (other.gain, other.reason) == (None, "the log has no chance of another home.rows")


def test_a_log_with_too_few_pages_says_so(tmp_path):
    dataset.write(tmp_path / "log", imported(logged(EVEN, WORTH, 10, 2, seed=6)))
    (result,) = forecasts(arms({"home.layout.temperature": 1.0}), dataset.load(tmp_path / "log"), EVEN)
    assert result.gain is None
    assert "the log has 20" in result.reason

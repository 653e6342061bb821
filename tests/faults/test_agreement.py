"""A run's end and decisions on labels are killed at named moments: one invocation later all states agree."""

from importlib import import_module

import pytest

from tests.faults.agreement import AFTER, BEFORE, every_point, run_rounds

SOME = [
    ("run", (AFTER, "serving.store.model_store.push")),
    ("take back", (AFTER, "rollout.moves.change")),
    ("add items", (AFTER, "rollout.moves.followed")),
    ("models rollback", (BEFORE, "workloads.operating.agree.set_aliases")),
]


def test_each_moment_is_the_call_of_a_function():
    points = every_point(1)
    assert set(SOME) <= set(points)
    for _, (_, name) in points:
        module, _, function = name.rpartition(".")
        assert callable(getattr(import_module(module), function))


@pytest.mark.slow
@pytest.mark.usefixtures("default_signals")
def test_what_was_killed_agrees_after_one_invocation(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for each in run_rounds(SOME, tmp_path):
        assert each.hit, each.point
        assert not each.wrong, each

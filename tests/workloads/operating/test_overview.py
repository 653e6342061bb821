"""The state of a home, in each stage of its life."""

from datetime import UTC, datetime

import pytest

from experiments.definition import parse
from experiments.registry import Registry
from pipelines.run_state import hold, state
from tests.support.experiments import definition
from tests.support.loops import COMPARED, STOPPED, TRAINED, drift_verdict, leave_run, looped
from workloads.operating.overview import RUNS, overview


def test_an_empty_home_has_nothing_and_no_error(home):
    seen = overview(home, state)
    empty = {name: value for name, value in seen.items() if name != "home"}
    assert not any(empty.values())


def test_a_home_with_data_alone_shows_the_data(home):
    looped(home)
    for folder in (home.runs, home.models, home.reports):
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    seen = overview(home, state)
    assert seen["data"]["counts"]["events"] == 89_700
    assert (seen["runs"], seen["gates"], seen["served"], seen["drift"]) == ([], [], None, None)


def test_runs_come_newest_first_with_their_ends(home):
    seen = overview(looped(home), state)
    assert [(run["run"], run["status"]) for run in seen["runs"]] == [
        (COMPARED, "compared"),
        (STOPPED, "stopped"),
        (TRAINED, "pushed"),
    ]
    assert seen["last_run"]["run"] == COMPARED
    assert all(datetime.fromisoformat(run["started"]).tzinfo == UTC for run in seen["runs"])


def test_gates_are_of_the_newest_training_and_one_without_a_verdict_says_so(home):
    gates = {gate["step"]: (gate["passed"], gate["reason"]) for gate in overview(looped(home), state)["gates"]}
    assert gates == {
        "validate-data": (True, "all is well"),
        "evaluate": (False, "AUC is low"),
        "infra-validate": (None, "no verdict"),
    }


def test_labels_and_drift_over_time(home):
    looped(home)
    leave_run(home, "monitoring-20260304T120000", {"detect-drift": drift_verdict(share=0.0)})
    seen = overview(home, state)
    assert (seen["drift"], seen["drifted"]) == ("40% drifted.", True)
    assert seen["served"]["ranking"] == {"stable": 2, "canary": 3}
    assert [(one["run"], one["drifted"], one["share"]) for one in seen["drift_history"]] == [
        (COMPARED, True, 0.4),
        ("monitoring-20260304T120000", False, 0.0),
    ]


def test_a_run_at_work_is_running(home):
    looped(home)
    with hold(home.run(COMPARED)):
        assert overview(home, state)["runs"][0]["status"] == "running"


def test_only_the_newest_runs_are_read(home):
    for day in range(1, RUNS + 3):
        leave_run(home, f"training-202603{day:02}T120000", {"ingest": {}})
    runs = overview(home, state)["runs"]
    assert (len(runs), runs[0]["run"]) == (RUNS, f"training-202603{RUNS + 2:02}T120000")


@pytest.mark.parametrize("ended", [False, True])
def test_experiments_say_whether_they_run(home, ended):
    registry, now = Registry(home.experiments), datetime(2026, 3, 1, tzinfo=UTC)
    registry.start(parse(definition()), now, "me")
    if ended:
        registry.stop("more-new", "stop", "no effect", "me", now)
    (one,) = overview(home, state)["experiments"]
    assert (one["name"], one["looks"], one["verdict"]) == ("more-new", 0, "")
    assert one["decision"] == ("stop" if ended else "")

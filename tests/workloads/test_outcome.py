"""The outcome of a run, read from the records of its steps."""

import pytest

from segue.errors import InputError
from segue.files import read_json, write_json
from segue.settings import Home
from workloads.outcome import outcome, verdict
from workloads.run import Run


def run_steps(home: Home, results: dict[str, dict]) -> dict:
    for name, result in results.items():
        with Run(home, "r1", {}).step(name) as record:
            record.update(result)
    return outcome(home.run("r1"))


@pytest.mark.parametrize(
    ("results", "status", "reason"),
    [
        ({"ingest": {}, "push": {"version": 3}}, "pushed", "every gate passed; this is version 3"),
        (
            {"push": {"version": 3, "label": "canary"}},
            "pushed",
            "every gate passed; this is version 3, the canary",
        ),
        (
            {"push": {"version": 4, "label": None}},
            "pushed",
            "every gate passed; this is version 4, which waits without a label",
        ),
        ({"validate-data": {"passed": False, "reason": "x is new"}}, "stopped", "data validation said no: x is new"),
        ({"evaluate": {"passed": False, "reason": "AUC is low"}}, "stopped", "the blessing said no: AUC is low"),
        ({"infra-validate": {"passed": False, "reason": "no"}}, "stopped", "infra validation said no: no"),
        ({"detect-drift": {"passed": False, "reason": "tastes moved"}}, "compared", "tastes moved"),
        (
            {"choose-trial": {"best": {"trial": 1, "objective": 0.25}, "trials": [0, 1], "metric": "recall_at_100"}},
            "searched",
            "trial 1 of 2 is best: recall_at_100 0.2500",
        ),
        ({"ingest": {}}, "incomplete", "ended after ingest"),
        ({}, "incomplete", "ended after no step"),
    ],
)
def test_outcome(home, results, status, reason):
    result = run_steps(home, results)
    assert (result["status"], result["reason"]) == (status, reason)


def test_the_report_is_no_step_of_its_own(home):
    assert "report" not in run_steps(home, {"ingest": {}, "report": {}})["steps"]


def test_a_failed_step_keeps_its_cause_fix_and_exit_code(home):
    with pytest.raises(InputError), Run(home, "r1", {}).step("ingest"):
        raise InputError("Rule, and what came.", "Do this.")
    result = outcome(home.run("r1"))
    assert result["status"] == "failed"
    assert result["failed_step"] == "ingest"
    assert result["steps"]["ingest"]["fix"] == "Do this."
    assert result["steps"]["ingest"]["exit_code"] == 2


@pytest.mark.parametrize("later", ["learn-layout", "register"])
def test_a_step_that_fails_beside_the_push_does_not_take_it_back(home, later):
    run_steps(home, {"push": {"version": 7, "label": "stable"}})
    with pytest.raises(InputError), Run(home, "r1", {}).step(later):
        raise InputError("Full disk.", "Free some space.")
    result = outcome(home.run("r1"))
    assert (result["status"], result["version"], result["failed_step"]) == ("pushed", 7, later)
    assert result["reason"] == f"every gate passed; this is version 7; but {later} failed: Full disk."


def test_a_step_that_had_nothing_to_do_says_why():
    assert verdict({"status": "done", "result": {"skipped": "the log has no pages"}}) == "skipped: the log has no pages"


def test_records_of_an_earlier_version_have_no_start(home):
    run_steps(home, {"detect-drift": {"passed": True, "reason": "no drift"}, "ingest": {}})
    for path in home.run("r1").steps.glob("*.json"):
        write_json(path, {name: value for name, value in read_json(path).items() if name != "started"})
    assert outcome(home.run("r1"))["reason"] == "no drift"

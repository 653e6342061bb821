"""Decisions on a home: from reports and runs to a record, and what is told of it."""

from dataclasses import replace

import pytest

from events import dataset
from monitoring.rules import Rules
from monitoring.state_file import read
from pipelines.run_state import state
from segue.clock import utc_now
from segue.errors import InputError, UnavailableError
from segue.files import read_json, write_json, write_text
from segue.settings import Home
from stores import parts
from tests.support.killed import killed_at_each_step
from tests.support.loops import leave_run
from tests.support.reports import day, leave_report, report
from workloads.monitoring import tell
from workloads.monitoring.decide import standing, step, trainings
from workloads.outcome import outcome
from workloads.run import Run

PUSHED = {"push": {"version": 1}}
STOPPED = {"evaluate": {"passed": False, "reason": "AUC is low"}}


@pytest.fixture
def drifted(home):
    """A home with a training of February and two windows in which skips rose."""
    leave_run(home, "training-20260220T120000", PUSHED)
    for number in (1, 2):
        leave_report(home, report(number, "skip_rate", cause="behaviour"))
    return home


def decide(home, at=2.0, **how):
    """Decide on a day."""
    return step(home, Rules(), day(at), state, **how)


def test_a_decision_is_recorded_once_and_stands_until_a_training_followed(drifted):
    decision = decide(drifted)
    assert (decision.action, decision.cause, decision.at) == ("retrain", "behaviour", day(2))
    assert decide(drifted, 2.3) == decision
    assert read(drifted.retraining).history == (decision,)
    assert standing(drifted, state) == decision
    leave_run(drifted, "training-20260303T000000", PUSHED)
    assert standing(drifted, state).reason == "A training has followed the decision of 2026-03-03 00:00 UTC."
    assert decide(drifted, 2.5).action == "wait"


def test_a_training_that_a_gate_stopped_ends_the_decision_too(drifted):
    decide(drifted)
    leave_run(drifted, "training-20260303T000001", STOPPED)
    assert decide(drifted, 3).action == "wait"
    assert [each.status for each in trainings(drifted, state)] == ["pushed", "stopped"]


def test_a_copy_of_a_training_counts_for_nothing(drifted):
    leave_run(drifted, "training-20260301T120000-2", PUSHED)  # the second one of that second
    for name in ("training-20260301T120000.bak", "training-kept"):
        leave_run(drifted, name, PUSHED)
    assert [each.started.day for each in trainings(drifted, state)] == [20, 1]


def test_a_roll_out_that_runs_is_waited_for(drifted):
    assert decide(drifted, busy="Roll-out 1 is running; a new version would wait for its end.").action == "wait"
    assert decide(drifted).action == "retrain"


def test_a_home_without_reports_waits_and_nothing_is_needed(home):
    assert decide(home).reason == "Nothing asks for a training. None was run so far."
    with pytest.raises(InputError, match="there is none yet"):
        standing(type(home)(home.root / "other"), state)


def test_a_damaged_report_is_named_and_nothing_is_decided(drifted):
    write_text(drifted.check_reports / "20260304T000000.json", '{"reference": []}')
    with pytest.raises(InputError, match="A saved report has") as refused:
        decide(drifted, 3.5)
    assert "20260304T000000.json" in str(refused.value)
    assert not drifted.retraining.exists()


def test_reports_of_another_log_or_of_later_days_count_for_nothing(drifted):
    leave_report(drifted, replace(report(3), log="another"))
    leave_report(drifted, report(4))
    imported = drifted.data / dataset.MANIFEST
    write_json(imported, {"log": "a third"})
    assert decide(drifted, 3.5).action == "wait"
    imported.unlink()
    assert decide(drifted, 3.6).action == "retrain"


def test_a_replay_does_not_follow_the_decisions_of_later_days(drifted):
    assert decide(drifted, 2).action == "retrain"
    assert decide(drifted, 1).action == "wait"
    assert decide(drifted, 2.1).action == "retrain"


def test_windows_that_overlap_are_not_in_a_row(drifted):
    first = report(3, "skip_rate", cause="behaviour")
    leave_report(drifted, replace(first, current=(day(1.5), day(2.5))))
    (drifted.check_reports / "20260302T000000.json").unlink()
    assert decide(drifted, 3).action == "wait"
    leave_report(drifted, report(1, "skip_rate", cause="behaviour"))
    assert decide(drifted, 3).action == "retrain"


@pytest.fixture
def outage(home):
    """A home that holds."""
    leave_report(home, report(1, "volume", cause="outage"))
    decide(home, 1)
    return home


def test_an_alert_is_said_once(outage):
    said = []
    for at in (1.2, 2, 2.2):
        if at == 2:
            leave_report(outage, report(2, "volume", cause="outage"))
        decide(outage, at)
        assert tell.alert(outage, said.append) == ""
    assert said == ["alert: hold. No training while this lasts: volume changed."]
    assert [each.action for each in read(outage.retraining).history] == ["hold", "hold"]


def test_an_alert_that_the_webhook_misses_is_sent_again(outage, monkeypatch):
    monkeypatch.setenv("SEGUE_ALERTS_WEBHOOK", "https://hooks.example.com/s3cret")
    sent = []

    def fails(address, decision):
        raise UnavailableError("The webhook does not answer.")

    monkeypatch.setattr(tell, "send", fails)
    assert tell.alert(outage, lambda line: None) == "The webhook does not answer."
    monkeypatch.setattr(tell, "send", lambda address, decision: sent.append((address, decision.action)))
    for _ in range(2):
        assert tell.alert(outage, lambda line: None) == ""
    assert sent == [("https://hooks.example.com/s3cret", "hold")]


def test_what_mlflow_does_not_take_is_kept_and_sent_later(outage, monkeypatch):
    calls = []

    def log(home, decisions):
        calls.append([each["name"] for each in decisions])
        return (0, "MLflow does not answer.") if len(calls) == 1 else (len(decisions), "")

    monkeypatch.setattr(tell, "log_decisions", log)
    assert tell.track(outage) == "MLflow does not answer."
    leave_report(outage, report(2))
    decide(outage, 2)
    assert tell.track(outage) == ""
    assert tell.track(outage) == ""
    assert calls == [["decision-00001"], ["decision-00001", "decision-00002"]]
    assert read_json(outage.retraining)["tracked"] == 2


@pytest.mark.slow
def test_mlflow_has_each_decision_with_its_reasons_and_effects(outage):
    from tracking.address import tracking_uri
    from tracking.client import connect
    from tracking.decisions import DECISIONS, log_decisions

    assert tell.track(outage) == ""
    again = tell.record(outage, 0, read(outage.retraining).history[0])
    assert log_decisions(outage, [again]) == (1, "")  # as after a kill before it was written down
    client = connect(tracking_uri(outage))
    (run,) = client.search_runs([client.get_experiment_by_name(DECISIONS).experiment_id])
    assert (run.info.run_name, run.info.status) == ("decision-00001", "FINISHED")
    assert (run.data.tags["action"], run.data.tags["cause"]) == ("hold", "outage")
    assert run.data.tags["reason"] == "No training while this lasts: volume changed."
    assert run.data.metrics["effect.volume"] == 0.9


@pytest.mark.slow
def test_on_a_cluster_all_homes_share_reports_decisions_and_how_trainings_ended(cluster, tmp_path):
    steps = Home(tmp_path / "steps")
    for name, result in (("validate-data", {"passed": False, "reason": "x is new"}), ("ingest", {})):
        run = Run(steps, f"run-of-{name}", {})
        with run.step(name) as record:
            record.update(result)
        with run.step("report"):
            write_json(run.folder.report, outcome(run.folder))
    first, second, third = (Home(tmp_path / name) for name in ("first", "second", "third"))
    reports = [report(number, "skip_rate", cause="behaviour") for number in (1, 2)]
    parts.change(first, parts.REPORTS, lambda: [leave_report(first, each) for each in reports])
    assert [each.status for each in trainings(second, outcome)] == ["stopped"]
    decision = step(second, Rules(), utc_now(), outcome)
    assert decision.action == "retrain"
    parts.bring(third, parts.REPORTS)
    assert standing(third, outcome) == decision


@pytest.mark.slow
def test_killed_at_any_step_the_next_invocation_decides_once_and_tells_at_least_once(outage, monkeypatch):
    told = outage.root / "told"

    def write(line):
        with told.open("a") as file:
            file.write(f"{line}\n")

    def log(home, decisions):
        write(f"tracked {len(decisions)}")
        return len(decisions), ""

    def invocation():
        decide(outage, 1)
        tell.track(outage)
        tell.alert(outage, write)

    monkeypatch.setattr(tell, "log_decisions", log)
    for killed in killed_at_each_step(invocation):
        invocation()
        state = read(outage.retraining)
        assert [each.action for each in state.history] == ["hold"], killed
        assert (state.tracked, state.alerted) == (1, 1)
        lines = told.read_text().splitlines()
        assert set(lines) == {"tracked 1", "alert: hold. No training while this lasts: volume changed."}
        assert len(lines) <= 4
        told.unlink()
        outage.retraining.unlink()
    assert killed > 20

"""`segue monitor` and `segue retrain` on homes that a loop has left."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from click.testing import CliRunner

from segue.clock import utc_now
from segue.errors import InputError, UnavailableError
from segue.lock import locked
from segue.settings import Home
from tests.support.loops import leave_run
from tests.support.reports import DAY, START, leave_report, report
from workloads.monitoring import monitor, refresh, tell, watch
from workloads.monitoring.decide import report_files, report_of

TODAY = (utc_now() - START) // DAY


@pytest.fixture
def segue(home, monkeypatch):
    """A function that calls `segue` on a home with two windows in which skips rose; MLflow takes all."""
    from cli import cli

    monkeypatch.setenv("SEGUE_HOME", str(home.root))
    monkeypatch.setattr(monitor, "end_of_log", lambda home: utc_now())
    monkeypatch.setattr(watch, "step", lambda home, at: report_of(report_files(home)[-1]))
    monkeypatch.setattr(tell, "log_decisions", lambda home, decisions: (len(decisions), ""))
    leave_run(home, f"training-{utc_now() - timedelta(days=8):%Y%m%dT%H%M%S}", {"push": {"version": 1}})
    for number in (TODAY - 2, TODAY - 1):
        leave_report(home, report(number, "skip_rate", cause="behaviour"))
    return lambda *args: CliRunner().invoke(cli, [*args], catch_exceptions=False)


@pytest.fixture
def trained(monkeypatch):
    """The reasons of trainings that were started; none runs."""
    from cli.pipelines import run

    reasons = []
    monkeypatch.setattr(run, "execute", lambda *args, why, **options: reasons.append(why))
    return reasons


def test_a_decision_in_words_and_in_json(segue, home):
    reason = "skip_rate failed in 2 windows in a row. skip_rate changed."
    day, failed, decided = segue("monitor").output.splitlines()
    assert day.endswith(" UTC: 1 of 5 checks failed, cause behaviour")
    assert (failed, decided) == ("skip_rate: skip_rate changed.", f"retrain: {reason}")
    printed = json.loads(segue("monitor", "--json").stdout)
    assert (printed["decision"]["action"], printed["decision"]["cause"]) == ("retrain", "behaviour")
    assert not {"not_tracked", "not_alerted"} & set(printed)
    assert segue("monitor", "history").output.endswith(f"decision retrain: {reason}\n")
    line = json.loads(segue("monitor", "history", "--json").stdout)
    assert (len(line["reports"]), line["decision"]["reason"]) == (2, reason)
    leave_run(home, f"training-{utc_now() + timedelta(seconds=1):%Y%m%dT%H%M%S}", {"push": {"version": 2}})
    assert segue("monitor", "history").output.endswith("  training pushed\n")  # nobody said why


def test_features_come_online_unless_a_run_is_at_work(segue, home, monkeypatch):
    done = []
    monkeypatch.setattr(refresh, "due", lambda home, at: True)
    monkeypatch.setattr(refresh, "step", lambda home, at: done.append(at))
    assert "refreshed" not in segue("monitor").output
    with locked(home.lock, "segue run training", utc_now()):
        busy = segue("monitor")
    assert "features not refreshed: One process at a time changes" in busy.output
    assert "retrain: " in busy.output  # all else goes on
    assert len(done) == 1


def test_a_window_that_cannot_be_judged_says_why(segue, home):
    leave_report(home, replace(report(TODAY), checks=(), reason="Checks need 15 whole days of events."))
    assert segue("monitor").output.splitlines()[1] == "Checks need 15 whole days of events."


def test_checks_without_enough_events_are_counted(segue, home):
    usual = report(TODAY)
    leave_report(home, replace(usual, checks=(replace(usual.checks[0], effect=None), *usual.checks[1:])))
    assert segue("monitor").output.splitlines()[0].endswith(" 0 of 5 checks failed, 1 had too few events")


def test_if_needed_acts_on_the_decision_until_a_training_followed(segue, home, trained):
    with pytest.raises(InputError, match="Run `segue monitor` first"):
        segue("retrain", "--if-needed")
    segue("monitor")
    segue("retrain", "--if-needed")
    assert trained == ["skip_rate failed in 2 windows in a row. skip_rate changed."]
    leave_run(home, f"training-{utc_now() + timedelta(seconds=1):%Y%m%dT%H%M%S}", {"push": {"version": 2}})
    printed = json.loads(segue("retrain", "--if-needed", "--json").stdout)
    assert (printed["retrain"], printed["reason"][:23]) == (False, "A training has followed")
    assert len(trained) == 1


def test_to_act_trains_only_if_the_decision_says_so(segue, tmp_path, trained):
    rules = tmp_path / "rules.yaml"
    rules.write_text("windows: {quality: 1}\n")
    assert segue("monitor", "--act", "--rules", str(rules)).output.splitlines()[-1][:5] == "wait:"
    assert trained == []
    segue("monitor", "--act")
    assert len(trained) == 1


def test_what_was_not_delivered_is_said(segue, home, monkeypatch):
    leave_report(home, report(TODAY, "volume", cause="outage"))
    monkeypatch.setattr(watch, "step", lambda home, at: report_of(report_files(home)[-1]))
    monkeypatch.setattr(tell, "log_decisions", lambda home, decisions: (0, "MLflow is down."))
    monkeypatch.setenv("SEGUE_ALERTS_WEBHOOK", "http://127.0.0.1:9/s3cret")
    done = segue("monitor")
    assert done.stdout.endswith("hold: No training while this lasts: volume changed.\n")
    alert, not_tracked, not_alerted = done.stderr.splitlines()
    assert alert == "alert: hold. No training while this lasts: volume changed."
    assert not_tracked == "not tracked: MLflow is down. The next `segue monitor` tries again."
    assert not_alerted.startswith("not alerted: The webhook at 127.0.0.1 must answer within 5 s. ConnectError.")
    assert "s3cret" not in done.output


def test_a_roll_out_that_runs_is_not_ended_by_a_training(segue, home, tmp_path):
    from serving.store import model_store

    source = tmp_path / "exported"
    source.mkdir()
    (source / "saved_model.pb").write_bytes(b"graph")
    for label in ("stable", "canary"):
        model_store.push(home.models, {"ranking": source}, label=label)
    segue("rollout", "start")
    assert segue("monitor").output.endswith("wait: Roll-out 1 is running; a new version would wait for its end.\n")
    segue("rollout", "promote", "--reason", "It is better.")
    assert segue("monitor").output.splitlines()[-1].startswith("retrain: ")


def test_one_process_decides_at_a_time(segue, home):
    with (
        locked(Home(home.root).monitor_lock, "segue monitor", utc_now()),
        pytest.raises(UnavailableError, match="One process at a time"),
    ):
        segue("monitor")


def test_a_replay_trains_nothing(segue):
    refused = segue("monitor", "--at", "2026-03-06", "--act")
    assert refused.exit_code == 2
    assert "--at replays a log. Leave out --act." in refused.output


def test_json_is_one_decision(segue):
    assert "Leave out --act and --every" in segue("monitor", "--json", "--act").output


@pytest.mark.slow
def test_a_log_is_replayed_without_a_training(home, monkeypatch):
    """A world in which tastes change on day 50: nothing on day 49, and a training on the second full day."""
    from cli import cli

    monkeypatch.setenv("SEGUE_HOME", str(home.root))
    monkeypatch.setattr(tell, "log_decisions", lambda home, decisions: (len(decisions), ""))

    def segue(*args):
        return CliRunner().invoke(cli, [*args], catch_exceptions=False)

    segue("data", "import", "synthetic", "--size", "demo", "--seed", "0", "--drift", "genre", "--drift-day", "50")
    printed = [json.loads(segue("monitor", "--json", "--at", f"2026-02-{day} 02:00:00").stdout) for day in (24, 25, 26)]
    assert [each["decision"]["action"] for each in printed] == ["wait", "wait", "retrain"]
    assert [each["report"]["cause"] for each in printed] == [None, "genre", "genre"]

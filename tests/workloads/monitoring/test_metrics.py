"""The loop's metrics, from the files of a home; the dashboard and the alert rules ask for nothing else."""

import json
import re
from pathlib import Path

import pytest
import yaml

from monitoring.rules import Rules
from pipelines.run_state import state
from rollout.plan import Plan
from rollout.rollout import Rollout
from rollout.state_file import State, change
from segue.files import write_text
from surfaces.engine.metrics import GatewayMetrics
from tests.support.reports import day, leave_report, report
from workloads.monitoring.decide import step
from workloads.monitoring.metrics import loop_metrics

MONITORING = Path(__file__).resolve().parents[3] / "k8s/components/monitoring"


def text(home, at=2.5):
    """The metrics on a day as Prometheus reads them, without their help."""
    metrics = GatewayMetrics()
    metrics.readings += loop_metrics(home, lambda: day(at))
    return [line for line in metrics.text().splitlines() if line.startswith(("segue_loop", "segue_rollout"))]


def test_an_empty_home_has_no_numbers(home):
    assert text(home) == []


def test_the_newest_window_and_the_decisions(home):
    for number in (1, 2):
        leave_report(home, report(number, "skip_rate", cause="behaviour"))
        step(home, Rules(), day(number), state)
    lines = text(home)
    assert "segue_loop_report_age_seconds 43200.0" in lines
    assert 'segue_loop_check_size{check="skip_rate"} 2.0' in lines
    assert 'segue_loop_check_failed{check="skip_rate"} 1' in lines
    assert 'segue_loop_check_failed{check="volume"} 0' in lines
    assert 'segue_loop_decision{action="retrain"} 1' in lines
    assert 'segue_loop_decisions_total{action="wait"} 1' in lines
    assert "segue_loop_retrain_age_seconds 43200.0" in lines


def test_the_roll_out(home):
    rollout = Rollout(1, {"ranking": 2}, {"ranking": 1}, Plan(), "running", day(1), 1)
    change(home.models, lambda before: State(rollout=rollout))
    assert text(home) == ["segue_rollout_share 0.01", 'segue_rollout_phase{phase="running"} 1']


@pytest.mark.parametrize("name", ["retraining.json", "checks/20260303T000000.json"])
def test_a_damaged_file_has_no_numbers_and_breaks_nothing(home, name):
    leave_report(home, report(1))
    step(home, Rules(), day(1), state)
    write_text(home.reports / name, "{")
    lines = text(home)
    assert any(line.startswith("segue_loop_report_age_seconds") for line in lines)
    assert any("loop_decision" in line for line in lines) is (name != "retraining.json")


def test_a_report_that_was_put_aside_is_no_report(home):
    leave_report(home, report(1))
    write_text(home.check_reports / "20260303T000000.damaged.json", "{")
    assert "segue_loop_report_age_seconds 129600.0" in text(home)
    assert step(home, Rules(), day(2.5), state).action == "wait"


def queries() -> list[str]:
    """The queries of the dashboard and of the alert rules."""
    dashboard = json.loads((MONITORING / "loop.json").read_text(encoding="utf-8"))
    rules = yaml.safe_load((MONITORING / "alert-rules.yaml").read_text(encoding="utf-8"))
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return shown + [rule["expr"] for group in rules["spec"]["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("query", queries())
def test_every_query_asks_for_a_metric_that_the_gateway_has(home, query):
    metrics = GatewayMetrics()
    had = {line.split()[2] for line in metrics.text().splitlines() if line.startswith("# TYPE")}
    had |= {each.name for each in loop_metrics(home, lambda: day(1))}
    asked = set(re.findall(r"segue_\w+", query))
    assert asked
    assert asked <= had


def test_every_metric_of_the_loop_is_on_the_dashboard(home):
    asked = set(re.findall(r"segue_\w+", " ".join(queries())))
    assert {each.name for each in loop_metrics(home, lambda: day(1))} <= asked

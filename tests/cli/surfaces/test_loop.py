"""The loop of a simulation: after a day it looks at the roll-out, watches, decides, trains, and rolls out."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.surfaces.loop import after_day, training
from events import dataset
from events.importers.synthetic import generate, sized
from models.training_config import load
from monitoring import rules
from monitoring.rules import Rules
from monitoring.windows import MATURITY
from rollout import plan
from rollout.state_file import read
from segue.settings import Home
from serving.store import model_store
from tests.support.loops import leave_run
from tests.support.reports import day, leave_report, report

PLAN = plan.Plan(shadow_requests=10, stages=(0.1, 0.5))


@pytest.fixture
def home(tmp_path):
    """A home with a log and stable models, and two windows in which skips rose."""
    home = Home(tmp_path / "home")
    dataset.write(home.data, generate(sized("nano", version=2), 0))
    model_store.push(home.models, exported(tmp_path))
    for number in (1, 2):
        leave_report(home, report(number, "skip_rate", cause="behaviour"))
    return home


def mature(number):
    """The instant at which the outcomes of a report's day are mature."""
    return day(number) + MATURITY


def exported(folder):
    """A folder with the files of a SavedModel; the store does not read their contents."""
    (folder / "exported").mkdir(exist_ok=True)
    (folder / "exported/saved_model.pb").write_bytes(b"graph")
    return {"ranking": folder / "exported"}


def test_a_training_that_is_decided_is_rolled_out_and_the_next_one_waits_for_it(home, tmp_path):
    reasons = []

    def train(at, why):
        reasons.append(why)
        leave_run(home, f"training-{at:%Y%m%dT%H%M%S}", {"push": {"version": 2}})
        model_store.push(home.models, exported(tmp_path), label="canary")
        return {"run": "r", "status": "pushed", "reason": "Better."}

    did = after_day(home, Rules(), PLAN, train, mature(2), day(0))
    assert [each["kind"] for each in did] == ["noticed", "retrain", "pushed", "start", "running"]
    assert did[0]["cause"] == did[1]["cause"] == "behaviour"
    assert reasons == [did[1]["reason"]]
    assert "skip_rate changed" in reasons[0]
    assert read(home.models).rollout.candidate == {"ranking": 2}

    did = after_day(home, Rules(cooldown_days=0), PLAN, train, mature(2.5), day(0))
    assert [each["kind"] for each in did] == ["wait", "noticed", "wait"]
    assert "Roll-out 1 is running" in did[2]["reason"]
    assert len(reasons) == 1


def test_a_training_without_a_canary_is_not_rolled_out(home):
    refused = {"run": "r", "status": "stopped", "reason": "AUC is low."}
    did = after_day(home, Rules(), PLAN, lambda at, why: refused, mature(2), day(0))
    assert [each["kind"] for each in did] == ["noticed", "retrain", "refused"]
    assert read(home.models).rollout is None


def test_what_had_not_begun_by_then_does_not_count(home):
    leave_run(home, "training-20261128T120000", {"push": {"version": 1}})  # of the real clock, before the simulation
    did = after_day(home, Rules(), PLAN, lambda at, why: {"status": "pushed"}, mature(2), day(0))
    assert "retrain" in [each["kind"] for each in did]


def test_the_schedule_counts_from_the_first_day(home):
    def kinds(number):
        leave_report(home, report(number))
        did = after_day(
            home, Rules(schedule_days=4), PLAN, lambda at, why: {"status": "pushed"}, mature(number), day(0)
        )
        return [each["kind"] for each in did]

    assert kinds(3) == ["watch", "wait"]
    assert kinds(4) == ["watch", "retrain", "pushed"]


def test_on_the_first_day_nothing_is_watched(home):
    shutil.rmtree(home.check_reports)
    first, at = (datetime(2026, 1, number, tzinfo=UTC) for number in (5, 6))
    did = after_day(home, Rules(), PLAN, lambda at, why: {}, at, first)
    assert (did[0]["kind"], did[0]["cause"]) == ("watch", None)
    assert "15 whole days" in did[0]["reason"]
    assert [each["kind"] for each in did[1:]] == ["wait"]


def test_the_examples_for_few_listeners_are_read():
    examples = Path(__file__).resolve().parents[3] / "docs/example"
    assert plan.read(examples / "small-rollout.yaml").stages == (0.5,)
    assert rules.read(examples / "small-retraining.yaml") == Rules(schedule_days=10)
    assert rules.read(examples / "no-training.yaml") == Rules(windows={}, schedule_days=10_000)
    assert load(examples / "small-training.yaml").half_life_days == 5


def test_a_training_is_pushed_or_refused():
    assert training({"status": "pushed", "run": "r"}) == {"kind": "pushed", "status": "pushed", "run": "r"}
    assert training({"status": "stopped"})["kind"] == "refused"

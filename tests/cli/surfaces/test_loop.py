"""The loop of a simulation: after a day it looks at the roll-out, watches, decides, trains, and rolls out."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.surfaces.loop import after_day, ended_at, training
from events import dataset
from events.importers.synthetic import generate, sized
from models.training_config import load
from monitoring import rules
from monitoring.rules import Rules
from monitoring.windows import MATURITY
from rollout import plan
from rollout.moves import start
from rollout.state_file import read
from segue.settings import Home
from serving.store import model_store
from tests.support.loops import leave_run
from tests.support.reports import day, leave_report, report
from workloads.simulation.actions import Actions

PUSHED = {"run": "r", "status": "pushed", "reason": "Better."}
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


def steered(home, *how, day_number=1):
    """The actions of a day that is steered."""
    actions = Actions(home.root / "actions.json", day_number, lambda action: None)
    after_day(home, *how, actions)
    return actions.done


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
        return PUSHED

    did = steered(home, Rules(), PLAN, train, mature(2), day(0))
    assert [each["kind"] for each in did] == ["noticed", "retrain", "pushed", "start", "running"]
    assert did[0]["cause"] == did[1]["cause"] == "behaviour"
    assert reasons == [did[1]["reason"]]
    assert "skip_rate changed" in reasons[0]
    assert read(home.models).rollout.candidate == {"ranking": 2}

    did = steered(home, Rules(cooldown_days=0), PLAN, train, mature(2.5), day(0), day_number=2)
    assert [each["kind"] for each in did] == ["wait", "noticed", "wait"]
    assert "Roll-out 1 is running" in did[2]["reason"]
    assert len(reasons) == 1


def test_a_training_without_a_canary_is_not_rolled_out(home):
    refused = {"run": "r", "status": "stopped", "reason": "AUC is low."}
    did = steered(home, Rules(), PLAN, lambda at, why: refused, mature(2), day(0))
    assert [each["kind"] for each in did] == ["noticed", "retrain", "refused"]
    assert read(home.models).rollout is None


def test_what_had_not_begun_by_then_does_not_count(home):
    leave_run(home, "training-20261128T120000", {"push": {"version": 1}})  # of the real clock, before the simulation
    did = steered(home, Rules(), PLAN, lambda at, why: PUSHED, mature(2), day(0))
    assert "retrain" in [each["kind"] for each in did]


def test_the_schedule_counts_from_the_first_day(home):
    def kinds(number):
        leave_report(home, report(number))
        how = Rules(schedule_days=4), PLAN, lambda at, why: PUSHED, mature(number), day(0)
        did = steered(home, *how, day_number=number)
        return [each["kind"] for each in did]

    assert kinds(3) == ["watch", "wait"]
    assert kinds(4) == ["watch", "retrain", "pushed"]


def test_on_the_first_day_nothing_is_watched(home):
    shutil.rmtree(home.check_reports)
    first, at = (datetime(2026, 1, number, tzinfo=UTC) for number in (5, 6))
    did = steered(home, Rules(), PLAN, lambda at, why: {}, at, first)
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
    assert training({**PUSHED, "steps": {}}) == {"kind": "pushed", **PUSHED}
    assert training({**PUSHED, "status": "stopped"})["kind"] == "refused"


class Killed(BaseException):
    """Stands for a kill, which nothing catches."""


@pytest.mark.parametrize("ended", [False, True])
def test_a_day_that_was_killed_during_its_training_is_told_whole(home, ended):
    started = []

    def train(at, why):
        if found := ended_at(home, at):
            return found
        started.append(at)
        if len(started) == 1 and not ended:
            raise Killed
        leave_run(home, f"training-{at:%Y%m%dT%H%M%S}", {"push": {"version": 2}})
        model_store.push(home.models, exported(home.root), label="canary")
        if len(started) == 1:
            raise Killed
        return PUSHED

    with pytest.raises(Killed):
        steered(home, Rules(), PLAN, train, mature(2), day(0))
    did = steered(home, Rules(), PLAN, train, mature(2), day(0))
    kinds = [each["kind"] for each in did]
    assert {"noticed", "retrain", "pushed", "start", "running"} <= set(kinds)
    assert (kinds.count("retrain"), kinds.count("pushed")) == (1, 1)
    assert len(started) == (1 if ended else 2)
    again = steered(home, Rules(), PLAN, train, mature(2), day(0))
    assert [each["kind"] for each in again][: len(did)] == kinds


def test_what_happened_to_a_roll_out_before_a_kill_is_told(home, tmp_path):
    model_store.push(home.models, exported(tmp_path), label="canary")
    start(home.models, None, PLAN, "segue", mature(2))  # killed before it was written down
    did = steered(home, Rules(), PLAN, lambda at, why: PUSHED, mature(2), day(0))
    assert [each["kind"] for each in did][:2] == ["start", "running"]

"""`segue run schedule`: one schedule for each pipeline, as the server holds it."""

import json

import pytest
from click.testing import CliRunner

from cli.pipelines.schedule import schedule
from pipelines.kubeflow.package import specification
from segue.errors import EXIT_USAGE
from tests.cli.pipelines.test_cluster import STORES
from tests.support.fake_kubeflow import Refused

pytestmark = pytest.mark.slow  # each schedule compiles its pipeline


def call(*arguments: str):
    return CliRunner().invoke(schedule, arguments)


@pytest.fixture
def stores(monkeypatch, tmp_path) -> None:
    """Settings of the profile `cluster`, and a bucket that is taken to have data."""
    monkeypatch.chdir(tmp_path)
    for name, value in STORES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("pipelines.kubeflow.preflight.require_data", lambda settings: None)


def listed() -> list[tuple[str, str, str]]:
    """The schedules, as the command prints them."""
    rows = json.loads(call("list", "--json").stdout)["schedules"]
    return [(row["pipeline"], row["cron"], row["status"]) for row in rows]


def test_a_schedule_is_made_paused_resumed_replaced_and_deleted(stores, kubeflow):
    assert "No schedule yet" in call("list").stdout
    assert call("training", "--cron", "0 3 * * *").stdout == "training: scheduled at 0 3 * * *\n"
    assert call("monitoring", "--cron", "30 * * * 1-5").exit_code == 0
    assert listed() == [("training", "0 3 * * *", "enabled"), ("monitoring", "30 * * * 1-5", "enabled")]
    assert call("training", "--pause").stdout == "training: paused\n"
    assert listed()[0] == ("training", "0 3 * * *", "disabled")
    assert call("training", "--resume").exit_code == 0
    assert listed()[0] == ("training", "0 3 * * *", "enabled")
    assert call("training", "--cron", "0 4 * * *").exit_code == 0
    assert listed() == [("monitoring", "30 * * * 1-5", "enabled"), ("training", "0 4 * * *", "enabled")]
    assert call("training", "--delete").exit_code == 0
    assert listed() == [("monitoring", "30 * * * 1-5", "enabled")]
    assert "30 * * * 1-5" in call("list").stdout


def test_the_server_receives_the_pipeline_and_no_two_runs_at_once(stores, kubeflow, monkeypatch, tmp_path):
    monkeypatch.setenv("SEGUE_IMAGE", "registry.example/segue:7")
    (tmp_path / "small.yaml").write_text("seed: 5\n")
    assert call("training", "--cron", "0 3 * * *", "--config", "small.yaml").exit_code == 0
    (received,) = kubeflow.schedules.values()
    assert received.trigger.cron_schedule.cron == "0 0 3 * * *"  # seconds first
    assert (received.max_concurrency, received.no_catchup, received.mode) == ("1", True, "ENABLE")
    assert received.runtime_config.parameters["config"]["seed"] == 5
    assert received.pipeline_spec == specification("training", "registry.example/segue:7")


@pytest.mark.parametrize("cron", ["0 3 * *", "0 0 3 * * *", "@daily", "", "a;b * * * *"])
def test_a_schedule_has_five_fields(stores, kubeflow, cron):
    error = call("training", "--cron", cron).exception
    assert error.exit_code == EXIT_USAGE
    assert kubeflow.requests == []


def test_a_refused_schedule_leaves_the_old_one(stores, kubeflow, monkeypatch):
    call("training", "--cron", "0 3 * * *")

    def refuse(wanted):
        raise Refused(400, "Hour 25 is out of range.")

    with monkeypatch.context() as strict:
        strict.setattr(kubeflow, "new_schedule", refuse)
        error = call("training", "--cron", "0 25 * * *").exception
    assert "refuses the call (status 400). It says: Hour 25 is out of range." in error.headline
    assert listed() == [("training", "0 3 * * *", "enabled")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "takes one of --cron, --pause, --resume, --delete"),
        (("--pause", "--delete"), "Received 2"),
        (("--pause", "--config", "x.yaml"), "--config belongs to --cron"),
    ],
)
def test_one_thing_is_done_at_a_time(stores, arguments, words):
    assert words in call("training", *arguments).exception.headline


@pytest.mark.parametrize("option", ["--pause", "--resume", "--delete"])
def test_a_pipeline_without_a_schedule_says_how_to_make_one(stores, kubeflow, option):
    error = call("monitoring", option).exception
    assert error.headline == "The pipeline monitoring has no schedule."
    assert "segue run schedule monitoring --cron" in error.fix

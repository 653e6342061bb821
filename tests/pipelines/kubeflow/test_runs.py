"""How a run on Kubeflow is doing: the steps' records, and what only Kubeflow knows of them."""

from datetime import UTC, datetime, timedelta

import kfp_server_api as api
import pytest

from pipelines.kubeflow import follow, runs
from pipelines.kubeflow.api import Kubeflow
from pipelines.kubeflow.package import specification
from pipelines.kubeflow.preflight import Installation
from pipelines.runner import PipelineFailed
from segue.errors import InputError, UnavailableError
from segue.files import write_json
from segue.settings import RunFolder
from tests.support.fake_kubeflow import FakeKubeflow, task

NOW = datetime(2026, 11, 28, 19, 0, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def spec() -> dict:
    """The training pipeline as the API takes it."""
    return specification("training", "segue:1")


@pytest.fixture
def stored(monkeypatch) -> dict[str, dict]:
    """The records in the object store, by step; the store itself is tested with a real server."""
    kept: dict[str, dict] = {}

    def bring(folder: RunFolder) -> dict[str, str]:
        for name, record in kept.items():
            write_json(folder.steps / f"{name}.json", {"step": name, "started": float(len(name)), **record})
        return dict.fromkeys(kept, "")

    monkeypatch.setattr("stores.records.bring", bring)
    return kept


@pytest.fixture
def started(kubeflow, spec):
    """A run of the training pipeline, as the server holds it."""
    kubeflow.experiments["e"] = api.V2beta1Experiment(experiment_id="e", display_name="segue")
    run = api.V2beta1Run(run_id="r1", experiment_id="e", display_name="training-1", pipeline_spec=spec, state="RUNNING")
    run.run_details = api.V2beta1RunDetails(task_details=[])
    kubeflow.runs["r1"] = run
    return run


def done(passed: bool | None = None, **result) -> dict:
    """The record of a step that has ended."""
    verdict = {} if passed is None else {"passed": passed, "reason": "two limits"}
    return {"status": "done", "seconds": 2.0, "attempt": 1, "result": verdict | result}


def failed(exit_code: int, attempt: int = 1) -> dict:
    """The record of a step that has failed."""
    record = {"status": "failed", "seconds": 1.0, "attempt": attempt, "result": {}, "exit_code": exit_code}
    return record | {"cause": "The store is away.", "fix": "Wait."}


def followed(kubeflow: FakeKubeflow, tmp_path) -> tuple[list[str], dict | PipelineFailed]:
    """What is reported of the run `r1`, and its outcome or its error."""
    lines: list[str] = []

    def on_step(record: dict) -> None:
        lines.append(f"{record['step']} {record['status']}")

    try:
        outcome = follow.follow(Kubeflow(kubeflow.url), "r1", RunFolder(tmp_path / "r1"), on_step, lines.append, 0.01)
    except PipelineFailed as error:
        return lines, error
    return lines, outcome


def move(state: str, *tasks, records: dict | None = None, into: dict | None = None):
    """A move of the run: its state and its tasks, and the records that the store has from then on."""

    def act(run) -> None:
        run.state = state
        run.run_details.task_details = list(tasks)
        if into is not None:
            into.update(records or {})

    return act


def test_a_run_is_followed_step_by_step_to_its_verdict(kubeflow, started, stored, tmp_path):
    kubeflow.moves = [
        move("PENDING"),
        move("RUNNING", task("root-driver", "SUCCEEDED"), task("ingest", "RUNNING")),
        move("RUNNING", task("ingest", "SUCCEEDED"), task("evaluate", "RUNNING"),
             records={"ingest": done()}, into=stored),
        move("SUCCEEDED", task("ingest", "SUCCEEDED"), task("evaluate", "SUCCEEDED"),
             records={"evaluate": done(False), "report": done()}, into=stored),
    ]  # fmt: skip
    lines, outcome = followed(kubeflow, tmp_path)
    assert lines == [
        "ingest running",
        "ingest done",
        "evaluate running",
        "said no: two limits",
        "evaluate done",
    ]
    assert (outcome["status"], outcome["reason"]) == ("stopped", "the blessing said no: two limits")
    assert outcome["link"] == f"{kubeflow.url}/#/runs/details/r1"


def test_a_pushed_run_names_its_version(kubeflow, started, stored, tmp_path):
    stored.update(push=done(version=7))
    kubeflow.moves = [move("SUCCEEDED", task("push", "SUCCEEDED"))]
    assert followed(kubeflow, tmp_path)[1]["version"] == 7


@pytest.mark.parametrize("exit_code", [1, 2, 75])
@pytest.mark.parametrize(
    "state", ["FAILED", "SUCCEEDED"]
)  # Kubeflow calls a run of which only the report ran a success
def test_a_failed_step_gives_its_exit_code(kubeflow, started, stored, tmp_path, exit_code, state):
    stored.update(ingest=failed(exit_code))
    kubeflow.moves = [move(state, task("ingest", "FAILED"), task("report", "SUCCEEDED"))]
    lines, error = followed(kubeflow, tmp_path)
    assert lines == ["ingest running", "The store is away.", "ingest failed"]
    assert error.exit_code == exit_code
    assert error.headline == "The step ingest failed. The store is away."
    assert "/#/runs/details/r1" in error.fix


@pytest.mark.parametrize("state", ["FAILED", "SUCCEEDED", "CANCELED"])
def test_a_run_that_pushed_stays_pushed_whatever_comes_later(kubeflow, started, stored, tmp_path, state):
    stored.update({"push": done(version=7), "learn-layout": failed(75)})
    kubeflow.moves = [move(state, task("push", "SUCCEEDED"), task("learn-layout", "FAILED"))]
    outcome = followed(kubeflow, tmp_path)[1]
    assert (outcome["status"], outcome["version"], outcome["failed_step"]) == ("pushed", 7, "learn-layout")


def test_a_repeated_step_says_why(kubeflow, started, stored, tmp_path):
    kubeflow.moves = [
        move("RUNNING", task("ingest", "RUNNING")),
        move("RUNNING", task("ingest", "RUNNING"), records={"ingest": failed(75)}, into=stored),
        move("RUNNING", task("ingest", "RUNNING"), task("push", "RUNNING")),
        move("SUCCEEDED", task("ingest", "SUCCEEDED"), records={"ingest": done()}, into=stored),
    ]  # fmt: skip
    lines, _ = followed(kubeflow, tmp_path)
    assert "attempt 1 failed, and is repeated: The store is away." in lines
    assert lines[-1] == "ingest done"


def test_a_killed_pod_is_a_failed_step(kubeflow, started, stored, tmp_path):
    kubeflow.moves = [move("SUCCEEDED", task("train-ranking", "FAILED", "OOMKilled"), task("report", "SUCCEEDED"))]
    _, error = followed(kubeflow, tmp_path)
    assert error.headline == "The step train-ranking failed. OOMKilled"
    assert error.exit_code == 1
    kubeflow.moves = [move("FAILED", task("train-ranking", "FAILED"))]
    assert "too little memory" in followed(kubeflow, tmp_path)[1].headline


def test_a_step_whose_outputs_could_not_be_kept_has_failed(kubeflow, started, stored, tmp_path):
    stored.update(ingest=done())
    kubeflow.moves = [move("FAILED", task("ingest", "FAILED", "failed to upload"))]
    assert followed(kubeflow, tmp_path)[1].headline == "The step ingest failed. failed to upload"


def test_reused_outputs_are_named(kubeflow, started, stored, tmp_path):
    stored.update(ingest=done())
    reused = task("build-features", "SUCCEEDED")
    reused.end_time = reused.start_time + timedelta(seconds=3)
    kubeflow.moves = [move("SUCCEEDED", task("ingest", "SUCCEEDED"), reused)]
    lines, outcome = followed(kubeflow, tmp_path)
    assert "outputs of an earlier run with the same inputs" in lines
    assert outcome["steps"]["build-features"]["seconds"] == pytest.approx(3)


@pytest.mark.slow
def test_a_failed_trial_is_told_once(kubeflow, started, stored, tmp_path):
    started.pipeline_spec = specification("search", "segue:1")
    stored.update({"trial-0": done(), "trial-1": failed(2)})
    kubeflow.moves = [move("FAILED", task("trial", "SUCCEEDED"), task("trial", "FAILED"))]
    error = followed(kubeflow, tmp_path)[1]
    assert error.headline == "The step trial-1 failed. The store is away."
    assert error.exit_code == 2


def test_a_run_that_was_ended_or_never_began_has_failed(kubeflow, started, stored, tmp_path):
    kubeflow.moves = [move("CANCELED")]
    assert "It was ended on the cluster" in followed(kubeflow, tmp_path)[1].headline
    started.error = api.GoogleRpcStatus(code=3, message="quota exceeded")
    kubeflow.moves = [move("FAILED")]
    assert followed(kubeflow, tmp_path)[1].headline == "The training pipeline failed. quota exceeded"


def test_a_short_absence_of_the_api_is_waited_for(kubeflow, started, stored, tmp_path):
    stored.update(push=done(version=1))
    kubeflow.moves = [move("SUCCEEDED")]
    kubeflow.faults = [lambda handler: handler.send(503, {})] * 2
    lines, outcome = followed(kubeflow, tmp_path)
    assert [line.endswith("(status 503). Asking again.") for line in lines[:2]] == [True, True]
    assert outcome["status"] == "pushed"


def test_a_long_absence_says_how_to_come_back(kubeflow, started, stored, tmp_path, monkeypatch):
    monkeypatch.setattr(follow, "LOST_SECONDS", 0.0)
    kubeflow.faults = [lambda handler: handler.send(503, {})] * 2
    with pytest.raises(UnavailableError) as caught:
        followed(kubeflow, tmp_path)
    assert caught.value.fix == (
        f"The run goes on. Follow it: `segue run status r1 --on kfp --host {kubeflow.url} --wait`."
    )


def test_the_newest_run_is_chosen_and_all_pages_are_read(kubeflow, spec):
    installation = Installation(Kubeflow(kubeflow.url), None, "kubeflow")
    with pytest.raises(InputError, match="no run on this cluster"):
        runs.chosen(installation, None)
    names = [runs.submit(installation, "training", {}, "segue:1", NOW) for _ in range(5)]  # a page has two
    assert [run.run_id for run in runs.listed(installation)] == names
    assert runs.chosen(installation, None).run_id == names[-1]
    with pytest.raises(InputError, match="does not have the run x"):
        runs.chosen(installation, "x")
    assert len(kubeflow.experiments) == 1


def test_a_long_silence_says_what_the_run_waits_for(kubeflow, started, stored, tmp_path, monkeypatch):
    monkeypatch.setattr(follow, "SILENCE_SECONDS", 0.0)
    executor = task("executor", "PENDING")
    kubeflow.moves = [
        move("RUNNING", task("ingest", "RUNNING"), executor),
        move("RUNNING", task("ingest", "RUNNING"), executor),
        move("RUNNING", task("ingest", "RUNNING")),
        move("RUNNING", task("ingest", "RUNNING")),
        move("SUCCEEDED", records={"push": done(version=1)}, into=stored),
    ]
    lines, _ = followed(kubeflow, tmp_path)
    assert "waits for a node, the image, or segue-settings and segue-secrets (kubectl get pods) for 0 s" in lines
    assert "at work for 0 s" in lines

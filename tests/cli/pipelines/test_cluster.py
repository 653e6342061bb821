"""`segue run … --on kfp`: what is asked before a run is submitted, what the server receives, and what is printed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from cli.pipelines.run import compile_, run
from cli.pipelines.runs import runs
from segue.errors import EXIT_FAILED, EXIT_RETRY, EXIT_USAGE, InputError
from segue.files import write_json
from segue.settings import Home
from stores.parts import DATA, change
from tests.support.fake_kubeflow import FakeKubeflow, task
from workloads.run import Run

IMAGE = "registry.example/segue:7"
STORES = {
    "SEGUE_PROFILE": "cluster",
    "SEGUE_ONLINE_STORE": "redis://nowhere:6379/0",
    "SEGUE_REGISTRY": "postgresql://segue@nowhere/feast",
    "SEGUE_TRACKING": "http://nowhere",
    "SEGUE_OBJECTS": "s3://segue",
    "SEGUE_OBJECTS_ENDPOINT": "http://127.0.0.1:9",  # nobody listens there
}


def call(*arguments: str, group=run):
    return CliRunner().invoke(group, arguments)


@pytest.fixture
def stores(monkeypatch, tmp_path) -> None:
    """Settings of the profile `cluster`, whose stores do not answer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGUE_HOME", str(tmp_path / "home"))
    for name, value in STORES.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def published(stores, bucket, monkeypatch, tmp_path) -> None:
    """A bucket that has data."""
    monkeypatch.setenv("SEGUE_OBJECTS", bucket.url)
    monkeypatch.setenv("SEGUE_OBJECTS_ENDPOINT", str(bucket.endpoint))
    monkeypatch.setenv("SEGUE_IMAGE", IMAGE)
    other = Home(tmp_path / "other")
    change(other, DATA, lambda: write_json(other.data / "manifest.json", {}))


def test_the_profile_embedded_has_nothing_for_steps_on_a_cluster(kubeflow):
    error = call("training", "--on", "kfp").exception
    assert "The profile is embedded" in error.headline
    assert error.exit_code == EXIT_USAGE
    assert kubeflow.requests == []


@pytest.mark.parametrize("command", [("training",), ("list",), ("status",), ("logs",), ("stop",)], ids=" ".join)
def test_an_address_is_needed(stores, command):
    error = call(*command, "--on", "kfp").exception
    assert error.headline == "--on kfp needs the address of Kubeflow Pipelines."


@pytest.mark.parametrize("command", [("training",), ("list",), ("status",), ("logs",), ("stop",)], ids=" ".join)
def test_an_address_without_a_cluster_is_refused(command):
    assert "Add --on kfp" in call(*command, "--host", "http://localhost:1").exception.fix


@pytest.mark.parametrize("host", ["localhost:8080", "ftp://localhost", "http://", "http://localhost:99999"])
def test_a_host_is_an_address(stores, host):
    error = call("training", "--on", "kfp", "--host", host).exception
    assert error.headline.startswith("--host must ")
    assert error.exit_code == EXIT_USAGE


def test_no_run_is_submitted_while_the_bucket_does_not_answer(stores, kubeflow, s3_credentials):
    error = call("training", "--on", "kfp").exception
    assert error.exit_code == EXIT_RETRY
    assert kubeflow.runs == {}


def test_the_namespace_of_an_installation_of_several_users(stores, monkeypatch):
    with FakeKubeflow(multi_user=True) as fake:
        error = call("list", "--on", "kfp", "--host", fake.url).exception
        assert "has several users" in error.headline
        assert "SEGUE_KUBEFLOW_NAMESPACE" in error.fix
        monkeypatch.setenv("SEGUE_KUBEFLOW_NAMESPACE", "team-b")
        error = call("list", "--on", "kfp", "--host", fake.url).exception
        assert "not authorized in the namespace team-b" in error.headline
        monkeypatch.setenv("SEGUE_KUBEFLOW_NAMESPACE", "team-a")
        assert "No run yet" in call("list", "--on", "kfp", "--host", fake.url).stdout


@pytest.mark.slow
@pytest.mark.parametrize("multi_user", [False, True], ids=["one user", "several users"])
def test_the_server_receives_what_is_compiled(published, monkeypatch, tmp_path, multi_user):
    monkeypatch.setenv("SEGUE_KUBEFLOW_NAMESPACE", "team-a")  # a single-user server refuses to be told
    monkeypatch.setenv("SEGUE_KUBEFLOW_TOKEN", "t0ken")
    with FakeKubeflow(multi_user, token="t0ken") as fake:
        submitted = call("training", "--on", "kfp", "--host", fake.url, "--seed", "3", "--json")
    assert "t0ken" not in submitted.output
    answer = json.loads(submitted.stdout)
    assert answer["link"] == f"{fake.url}/#/runs/details/{answer['run']}"
    (received,) = fake.runs.values()
    assert received.run_id == answer["run"]
    assert received.display_name.startswith("training-2")
    assert received.runtime_config.parameters["config"]["seed"] == 3
    assert call("--out", str(tmp_path / "yaml"), "--image", IMAGE, group=compile_).exit_code == 0
    spec, platform = yaml.safe_load_all((tmp_path / "yaml" / "training.yaml").read_text())
    assert received.pipeline_spec == {"pipeline_spec": spec, "platform_spec": platform}
    (experiment,) = fake.experiments.values()
    assert (experiment.display_name, experiment.namespace) == ("segue", "team-a" if multi_user else None)


@pytest.mark.slow
def test_without_data_no_run_is_submitted(published, kubeflow, bucket, monkeypatch):
    monkeypatch.setenv("SEGUE_OBJECTS", f"{bucket.url}/empty")
    error = call("training", "--on", "kfp").exception
    assert error.headline.endswith("/empty has no data yet.")
    assert "segue data import" in error.fix
    assert kubeflow.runs == {}


def step_of(run_id: str, home: Path, name: str, **result) -> None:
    """Let a step of a run end in an empty home of its own; without a result it fails with exit code 2."""
    try:
        with Run(Home(home / name), run_id, {}).step(name) as record:
            if not result:
                raise InputError("The log has no plays.", "Import more.")
            record.update(result)
    except InputError:
        pass


@pytest.mark.slow
def test_a_run_is_followed_to_its_end_and_listed(published, kubeflow, tmp_path):
    def work(run):
        run.state = "RUNNING"
        run.run_details.task_details = [task("ingest", "RUNNING")]

    def end(run):
        run.state = "SUCCEEDED"
        step_of(run.run_id, tmp_path, "ingest", rows=3)
        step_of(run.run_id, tmp_path, "evaluate", passed=False, reason="AUC fell by 0.2")
        run.run_details.task_details = [task("ingest", "SUCCEEDED"), task("evaluate", "SUCCEEDED")]

    kubeflow.moves = [lambda run: None, work, end]
    done = call("training", "--on", "kfp", "--wait")
    assert done.exit_code == 0, done.exception
    assert "ingest           done in" in done.output
    assert "evaluate         said no: AUC fell by 0.2" in done.output
    (run_id,) = kubeflow.runs
    assert f"{run_id}: stopped. the blessing said no: AUC fell by 0.2" in done.output
    assert f"page     {kubeflow.url}/#/runs/details/{run_id}" in done.output
    assert not Home.from_env().runs.exists()  # a run on a cluster is none of this home

    shown = call("status", "--on", "kfp", "--json", group=runs)
    assert json.loads(shown.stdout)["status"] == "stopped"
    assert "AUC fell by 0.2" in call("status", run_id, "--on", "kfp").output
    listed = json.loads(call("list", "--on", "kfp", "--json").stdout)["runs"]
    assert [(row["run"], row["status"]) for row in listed] == [(run_id, "succeeded")]
    logs = call("logs", "--on", "kfp", "--follow").stdout
    assert logs.startswith(f"kubectl logs -n kubeflow --selector pipeline/runid={run_id} --container main --prefix")


@pytest.mark.slow
def test_a_failed_run_ends_with_the_exit_code_of_its_step(published, kubeflow, tmp_path):
    def end(run):
        run.state = "FAILED"
        step_of(run.run_id, tmp_path, "ingest")
        run.run_details.task_details = [task("ingest", "FAILED")]

    kubeflow.moves = [lambda run: None, end]
    error = call("training", "--on", "kfp", "--wait").exception
    assert error.headline == "The step ingest failed. The log has no plays."
    assert error.exit_code == EXIT_USAGE
    assert call("status", "--on", "kfp", "--wait").exception.exit_code == EXIT_USAGE


@pytest.mark.slow
def test_a_run_is_ended(published, kubeflow):
    call("monitoring", "--on", "kfp")
    (run_id,) = kubeflow.runs
    stopped = json.loads(call("stop", "--on", "kfp", "--json").stdout)
    assert stopped == {"run": run_id, "status": "failed", "reason": "It was ended on the cluster."}
    assert call("status", "--on", "kfp", "--wait").exception.exit_code == EXIT_FAILED


@pytest.mark.slow
@pytest.mark.usefixtures("default_signals")
def test_ctrl_c_leaves_the_run_and_says_how_to_come_back(published, kubeflow):
    with subprocess.Popen(
        [sys.executable, "-c", "from cli import main; main()", "run", "training", "--on", "kfp", "--wait"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        deadline = time.monotonic() + 60
        while len([path for _, path in kubeflow.requests if "/runs/" in path]) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        command.send_signal(signal.SIGINT)
        _, printed = command.communicate(timeout=30)
    (run_id,) = kubeflow.runs
    assert command.returncode == 130
    assert f"The run goes on. Follow it: segue run status {run_id} --on kfp --host {kubeflow.url} --wait" in printed
    assert "Traceback" not in printed
    assert kubeflow.runs[run_id].state == "PENDING"


@pytest.mark.slow
def test_another_bucket_is_noticed(published, kubeflow):
    kubeflow.moves = [lambda run: None, lambda run: setattr(run, "state", "SUCCEEDED")]
    done = call("training", "--on", "kfp", "--wait")
    assert "no step kept a record in s3://" in done.output


def test_one_implementation_for_both_groups():
    assert run.commands["list"] is runs.commands["list"]
    assert run.commands["status"] is runs.commands["status"]
    assert run.commands["logs"] is runs.commands["log"]
    assert run.commands["stop"] is runs.commands["stop"]

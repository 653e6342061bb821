"""What `segue run` refuses before anything runs."""

import socket

import pytest
from click.testing import CliRunner

from cli.run import run
from segue.errors import EXIT_RETRY, EXIT_USAGE
from segue.files import write_json
from segue.settings import Home


@pytest.mark.parametrize("pipeline", ["training", "monitoring", "search"])
@pytest.mark.parametrize("on", [[], ["--on", "local"]])
@pytest.mark.parametrize("host", ["http://127.0.0.1:8888", ""])
def test_an_address_of_kubeflow_needs_the_run_to_be_there(tmp_path, monkeypatch, pipeline, on, host):
    monkeypatch.setenv("SEGUE_HOME", str(tmp_path))
    error = CliRunner().invoke(run, [pipeline, *on, "--host", host]).exception
    assert error.headline.startswith("--host names Kubeflow Pipelines")
    assert (error.fix, error.exit_code) == ("Add --on kfp, or leave --host out.", EXIT_USAGE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pipeline", ["training", "monitoring", "search"])
@pytest.mark.parametrize("uri", ["http://127.0.0.1:{}", "postgresql://segue@127.0.0.1:{}/mlflow"])
def test_no_run_starts_while_its_tracker_does_not_answer(tmp_path, monkeypatch, pipeline, uri):
    monkeypatch.setenv("SEGUE_HOME", str(tmp_path))
    home = Home.from_env()
    write_json(home.data / "manifest.json", {})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        address = uri.format(taken.getsockname()[1])
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        error = CliRunner().invoke(run, [pipeline]).exception
    assert error.headline.startswith(f"MLflow at {address} does not answer")
    assert error.exit_code == EXIT_RETRY
    assert not home.runs.exists()

"""What `segue run` refuses before anything runs."""

import socket

import pytest
from click.testing import CliRunner

from cli.run import run
from segue.errors import EXIT_RETRY
from segue.files import write_json
from segue.settings import Home


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

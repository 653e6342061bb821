"""What `segue run` refuses before anything runs."""

import socket

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from cli.pipelines.run import run
from events.dataset import write
from events.importers.tabular import read
from segue.errors import EXIT_RETRY, InputError
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


@pytest.mark.parametrize("arguments", [("training",), ("search", "--config", "search.yaml")], ids=" ".join)
def test_no_run_starts_on_a_log_without_negatives(tmp_path, monkeypatch, arguments):
    monkeypatch.setenv("SEGUE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "search.yaml").write_text("search: {model: ranking, trials: 1}\n")
    rows = range(40)
    events = {"action": ["add"] * 40, "event_id": [f"e{n}" for n in rows], "user_id": [f"u{n % 3}" for n in rows]}
    events |= {"item_id": [f"i{n % 7}" for n in rows], "ts": [f"2026-01-05T12:{n:02d}:00" for n in rows]}
    pq.write_table(pa.table(events), tmp_path / "log.parquet")
    write(Home.from_env().data, read(tmp_path / "log.parquet"))
    error = CliRunner().invoke(run, arguments).exception
    assert error.headline.startswith("Ranking is judged by a label that is 1 for some events and 0 for others.")
    assert error.exit_code == InputError.exit_code
    assert not Home.from_env().runs.exists()

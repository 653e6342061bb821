"""What `segue run` refuses before anything runs, and what it does with pushed models."""

import socket
from contextlib import suppress
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from cli.pipelines.run import roll_out, run, show
from events.dataset import write
from events.importers.tabular import read as read_log
from rollout.decision import Decision
from rollout.moves import act, decided
from rollout.rollout import DRAIN
from rollout.state_file import change, read
from segue.clock import utc_now
from segue.errors import EXIT_RETRY, InputError
from segue.files import write_json
from segue.settings import Home
from serving.store import model_store
from tests.rollout.conftest import AT


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
    write(Home.from_env().data, read_log(tmp_path / "log.parquet"))
    error = CliRunner().invoke(run, arguments).exception
    assert error.headline.startswith("Ranking is judged by a label that is 1 for some events and 0 for others.")
    assert error.exit_code == InputError.exit_code
    assert not Home.from_env().runs.exists()


def test_a_step_that_failed_after_the_push_is_said(home, capsys):
    run = home.run("training-1")
    run.path.mkdir(parents=True)
    ended = {"status": "pushed", "reason": "this is version 7; but learn-layout failed: Full.", "not_tracked": None}
    show(home, ended | {"run": run.path.name, "failed_step": "learn-layout", "folder": str(run.path), "log": "run.log"})
    printed = capsys.readouterr().out
    assert "training-1: pushed. this is version 7; but learn-layout failed: Full." in printed
    assert "The models are pushed all the same; the next training repeats learn-layout. The log is run.log." in printed


@pytest.fixture
def pushed(home, monkeypatch, tmp_path):
    """A function that pushes a version to a label, and tells what the run's end does about it."""
    monkeypatch.setenv("SEGUE_HOME", str(home.root))
    source = tmp_path / "exported"
    source.mkdir()
    (source / "saved_model.pb").write_bytes(b"graph")

    def push(label):
        roll_out({"version": model_store.push(home.models, {"ranking": source}, label=label), "label": label})
        return read(home.models).rollout

    return push


def test_a_candidate_is_rolled_out_at_the_end_of_its_run(pushed, home, capsys):
    assert pushed("stable") is None
    rollout = pushed("canary")
    assert (rollout.number, rollout.candidate, rollout.phase) == (1, {"ranking": 2}, "running")
    assert "Roll-out 1 tries version 2" in capsys.readouterr().err

    assert pushed(None).number == 1
    assert "`segue rollout start 3`" in capsys.readouterr().err
    assert model_store.labels(home.models) == {"ranking": {"stable": 1, "canary": 2}}


def test_a_second_candidate_is_not_tried_and_does_not_fail_the_run(pushed, capsys):
    pushed("stable")
    pushed("canary")
    assert pushed("canary").candidate == {"ranking": 2}
    assert "A roll-out tries another version. Afterwards: `segue rollout start 3`." in capsys.readouterr().err


def test_a_candidate_is_tried_once_the_one_before_has_drained(pushed, home):
    pushed("stable")
    pushed("canary")
    act(home.models, Decision("take back", "x"), "ann", utc_now() - DRAIN)
    assert read(home.models).rollout.phase == "draining"  # no command came since
    assert pushed("canary").candidate == {"ranking": 3}


def test_a_roll_out_that_cannot_start_does_not_fail_the_run(pushed, home, capsys):
    pushed("stable")
    (home.models / "rollout.json").write_text("{")
    with suppress(InputError):  # the next command says it again
        pushed("canary")
    assert "Version 2 is not tried yet: " in capsys.readouterr().err


def test_a_roll_out_that_a_look_has_started_meanwhile_is_said_to_try_the_version(pushed, home, capsys):
    pushed("stable")
    first = pushed("canary")
    roll_out({"version": 2, "label": "canary"})
    assert read(home.models).rollout == first
    assert capsys.readouterr().err.count("Roll-out 1 tries version 2") == 2


def test_the_end_of_a_run_finishes_what_a_killed_command_has_left(pushed, home):
    pushed("stable")
    pushed("canary")
    begun = partial(decided, decision=Decision("promote", "x"), by="ann", at=AT, labels=model_store.labels(home.models))
    change(home.models, begun)
    assert pushed(None).phase == "promoted"
    assert model_store.labels(home.models) == {"ranking": {"stable": 2, "canary": 2}}

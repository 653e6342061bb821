"""The parts of the local runner: run folders, errors, the log's lines, and the order of steps."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines import steps
from pipelines.runner import (
    failure,
    kill_rest,
    last_line,
    new_run,
    remove_leftovers,
    run_locally,
    unrecorded_failure,
    whole_lines,
)
from segue.errors import EXIT_FAILED, EXIT_USAGE, InputError
from segue.files import read_json
from segue.settings import Home

ROOT = Path(__file__).resolve().parents[2]
NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def test_runs_of_one_second_do_not_share_a_folder(home):
    names = [new_run(home, "training", NOON).path.name for _ in range(3)]
    assert names == ["training-20260301T120000", "training-20260301T120000-2", "training-20260301T120000-3"]


@pytest.mark.parametrize("name", ["seg [v2]", "star*", "q?x", "back\\slash"])
def test_a_home_that_tensorflow_cannot_load_from_is_refused_at_once(tmp_path, name):
    with pytest.raises(InputError, match="TensorFlow takes"):
        run_locally(Home(tmp_path / name), "training", {}, NOON, print, print)
    assert not (tmp_path / name).exists()


def test_a_run_records_why_it_was_started(home, monkeypatch):
    popen = subprocess.Popen  # a pipeline without steps
    monkeypatch.setattr(
        "pipelines.runner.subprocess.Popen", lambda command, **o: popen([sys.executable, "-c", ""], **o)
    )
    run_locally(home, "training", {}, NOON, print, print, why="a week of new plays")
    assert read_json(home.run("training-20260301T120000").request)["why"] == "a week of new plays"


def test_a_run_whose_process_dies_after_the_push_has_pushed(home, monkeypatch):
    script = """
from pathlib import Path
from segue.files import write_json
write_json(Path("steps/push.json"), {"step": "push", "status": "done", "result": {"version": 7, "label": "stable"}})
write_json(Path("steps/learn-layout.json"), {"step": "learn-layout", "status": "running", "result": {}})
raise SystemExit(1)
"""
    popen = subprocess.Popen  # a pipeline whose second step is killed
    monkeypatch.setattr(
        "pipelines.runner.subprocess.Popen", lambda command, **o: popen([sys.executable, "-c", script], **o)
    )
    result = run_locally(home, "training", {}, NOON, lambda record: None, print)
    assert (result["status"], result["version"], result["failed_step"]) == ("pushed", 7, "learn-layout")
    assert "; but learn-layout failed: Its process was killed;" in result["reason"]
    assert read_json(Path(result["folder"]) / "report.json") == result


def test_a_run_removes_what_killed_commands_left_in_the_home(home):
    left = [
        home.root / ".tmp-data-0123abcd" / "items.parquet",
        home.features / ".tmp-tables-0123abcd-old" / "item_daily.parquet",
        home.features / "baselines" / ".tmp-log-0123abcd" / "schema.pbtxt",
        home.run("training-1").steps / ".tmp-ingest.json-0123abcd",
        home.run("training-1").temporary / "segue-shards-x" / "part",
        home.reports / ".tmp-reference.parquet-0123abcd",
    ]
    kept = [
        home.root / ".tmp-mine-0123abcd" / "file",
        home.data / "manifest.json",
        home.features / "tables" / "item_daily.parquet",
        home.run("training-1").log,
    ]
    for path in (*left, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    remove_leftovers(home)
    assert {path for path in (*left, *kept) if path.exists()} == set(kept)


def test_published_tables_that_were_moved_aside_return(home):
    aside = home.features / ".tmp-tables-0123abcd-old"
    aside.mkdir(parents=True)
    remove_leftovers(home)
    assert [path.name for path in home.features.iterdir()] == ["tables"]


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_the_steps_of_a_run_whose_own_process_was_killed_are_killed(steps):
    script = f"for i in $(seq {steps}); do sleep 60 & done; echo ready; sleep 60"
    with subprocess.Popen(["bash", "-c", script], stdout=subprocess.PIPE, start_new_session=True) as child:
        assert child.stdout.readline() == b"ready\n"
        child.kill()
        child.wait()
        kill_rest(child)
        child.stdout.read()  # ends when no process of the group is left
    kill_rest(child)


def test_a_failure_names_step_cause_fix_and_log():
    record = {"cause": "A rule.", "fix": "Do this.", "exit_code": EXIT_USAGE}
    result = {"steps": {"ingest": record}, "failed_step": "ingest", "reason": "", "log": "run.log"}
    error = failure("training", result)
    assert error.headline == "The step ingest failed. A rule."
    assert error.fix == "Do this. The log is run.log."
    assert error.exit_code == EXIT_USAGE


def test_a_failure_outside_any_step_names_the_pipeline():
    error = failure("training", {"steps": {}, "failed_step": None, "reason": "killed", "log": "run.log"})
    assert error.headline == "The training pipeline failed. killed"
    assert error.exit_code == EXIT_FAILED


def test_a_step_whose_process_was_killed_is_named():
    steps = {"ingest": {"status": "done"}, "train-ranking": {"status": "running"}}
    result = {"status": "incomplete", "steps": steps, "log": "run.log"}
    assert failure("training", result | unrecorded_failure(result)).headline == (
        "The step train-ranking failed. Its process was killed; the machine may be short of memory."
    )


def test_last_line_skips_blank_ones(tmp_path):
    log = tmp_path / "run.log"
    log.write_text("first\nlast\n\n  \n")
    assert last_line(log) == "last"
    log.write_text("")
    assert last_line(log) == "The process ended without any output."


def test_half_a_line_waits_for_its_end(tmp_path):
    log = tmp_path / "run.log"
    log.write_text("first\nsec")
    with log.open() as file, log.open("a") as writer:
        assert list(whole_lines(file)) == ["first\n"]
        assert list(whole_lines(file)) == []
        writer.write("ond\n")
        writer.flush()
        assert list(whole_lines(file)) == ["second\n"]


@pytest.mark.parametrize(
    ("pipeline", "first", "last"),
    [("training", "ingest", "report"), ("monitoring", "ingest", "report"), ("search", "ingest", "report")],
)
def test_the_steps_are_those_of_the_compiled_pipeline(pipeline, first, last):
    names = steps(pipeline)
    assert (names[0], names[-1]) == (first, last)
    assert len(names) == len(set(names))
    workloads = {path.stem.replace("_", "-") for path in (ROOT / "workloads").rglob("*.py")}
    assert set(names) <= workloads


def test_the_steps_of_training_come_in_the_order_of_their_inputs():
    assert steps("training") == [
        "ingest",
        "build-features",
        "make-training-set",
        "validate-data",
        "refresh-online",
        "train-retrieval",
        "train-sequence",
        "train-ranking",
        "evaluate",
        "infra-validate",
        "push",
        "register",
        "learn-layout",
        "report",
    ]

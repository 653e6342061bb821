"""The names of steps, and the record that each step leaves."""

import errno
import sqlite3

import pytest

from segue.errors import EXIT_FAILED, EXIT_RETRY, EXIT_USAGE, InputError
from segue.files import read_json, write_json
from workloads.run import Run


@pytest.fixture
def run(home) -> Run:
    """A run in an empty home."""
    return Run(home, "r1", {})


@pytest.mark.parametrize(
    ("module", "number", "name"),
    [
        pytest.param("workloads.build_features", None, "build-features", id="underscores become hyphens"),
        pytest.param("workloads.training.train_ranking", None, "train-ranking", id="packages are left out"),
        pytest.param("workloads.search.trial", 3, "trial-3", id="a number comes last"),
        pytest.param("workloads.search.trial", 0, "trial-0", id="0 is a number"),
        pytest.param("ingest", None, "ingest", id="a module without a package"),
    ],
)
def test_a_step_is_named_after_its_workload(run, module, number, name):
    with run.step(module, number):
        pass
    assert [path.name for path in run.folder.steps.iterdir()] == [f"{name}.json"]
    assert read_json(run.folder.steps / f"{name}.json")["step"] == name


def test_a_step_is_on_record_while_it_runs(run):
    record = run.folder.steps / "ingest.json"
    with run.step("workloads.ingest") as result:
        running = read_json(record)
        assert running.pop("started") > 0
        assert running == {"step": "ingest", "status": "running", "result": {}, "attempt": 1}
        result["rows"] = 3
    finished = read_json(record)
    assert (finished["status"], finished["result"]) == ("done", {"rows": 3})
    assert finished["seconds"] >= 0
    assert finished["cpu_seconds"] >= 0
    assert finished["peak_mib"] > 10  # of this process, which has imported pytest


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        pytest.param(OSError(errno.ENOSPC, "No space left on device"), EXIT_RETRY, id="full disk"),
        pytest.param(OSError(errno.EACCES, "Permission denied", "/a"), EXIT_USAGE, id="no right"),
        pytest.param(RuntimeError("IO Error: Could not write: No space left on device"), EXIT_RETRY, id="DuckDB"),
        pytest.param(sqlite3.OperationalError("database or disk is full"), EXIT_RETRY, id="SQLite"),
    ],
)
def test_a_step_that_the_system_fails_has_the_exit_code_of_a_command(run, error, exit_code):
    with pytest.raises(type(error)), run.step("workloads.ingest"):
        raise error
    record = read_json(run.folder.steps / "ingest.json")
    assert (record["exit_code"], bool(record["fix"])) == (exit_code, True)


def test_a_failed_step_is_recorded_though_the_disk_is_full(run, monkeypatch):
    def write(path, record):
        if record["status"] == "failed" and run.folder.reserve.exists():
            fails_as_full()
        write_json(path, record)

    run.folder.temporary.mkdir(parents=True)
    run.folder.reserve.touch()
    monkeypatch.setattr("workloads.run.write_json", write)
    monkeypatch.setattr("traceback.print_exc", fails_as_full)
    with pytest.raises(OSError, match="No space"), run.step("workloads.ingest"):
        fails_as_full()
    assert read_json(run.folder.steps / "ingest.json")["exit_code"] == EXIT_RETRY


def fails_as_full(*_, **__):
    """Fail as on a full disk."""
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("error", "cause", "fix", "exit_code"),
    [
        pytest.param(InputError("A rule.", "Do this."), "A rule.", "Do this.", InputError.exit_code, id="ours"),
        pytest.param(ValueError("odd"), "ValueError: odd", "", EXIT_FAILED, id="any other"),
        pytest.param(KeyboardInterrupt(), "KeyboardInterrupt: ", "", EXIT_FAILED, id="interrupted"),
    ],
)
def test_a_failed_step_records_its_error_and_raises_it(run, error, cause, fix, exit_code):
    with pytest.raises(type(error)), run.step("workloads.ingest"):
        raise error
    record = read_json(run.folder.steps / "ingest.json")
    assert record["status"] == "failed"
    assert (record["cause"], record["fix"], record["exit_code"]) == (cause, fix, exit_code)


@pytest.mark.parametrize(
    ("error", "exit_code"), [(InputError("A rule."), 2), (OSError(errno.EIO, "x"), 75), (KeyError(), 1)]
)
def test_the_process_of_a_step_ends_with_the_exit_code_of_its_error(home, monkeypatch, error, exit_code):
    monkeypatch.setenv("SEGUE_HOME", str(home.root))
    monkeypatch.setenv("SEGUE_RUN_ID", "r1")
    run = Run.now()
    with pytest.raises(SystemExit) as ended, run.step("workloads.ingest"):
        raise error
    assert ended.value.code == exit_code
    assert read_json(run.folder.steps / "ingest.json")["exit_code"] == exit_code

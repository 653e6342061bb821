"""`segue runs`: the list, a run's log, and runs that are not there."""

import json
import os
import socket
import threading
import time

import pytest
from click.testing import CliRunner

from cli.pipelines.runs import runs
from pipelines.run_state import hold
from segue.errors import InputError, UnavailableError
from segue.files import write_json
from segue.settings import Home
from workloads.run import Run

NAMES = [
    "training-20260301T120000",
    "search-20260301T130000",
    "training-20260301T130000-2",
    "monitoring-20260302T010000",
]


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    """A home with four runs, made in another order than they began, each after one step."""
    monkeypatch.setenv("SEGUE_HOME", str(tmp_path))
    home = Home.from_env()
    for name in reversed(NAMES):
        run = Run(home, name, {})
        with run.step("workloads.ingest"):
            pass
        run.folder.log.write_text(f"the log of {name}\n")
    return home


def call(*arguments: str):
    return CliRunner().invoke(runs, arguments, catch_exceptions=True)


def test_the_list_is_in_the_order_of_starts(home):
    assert [run.path.name for run in home.run_folders()] == NAMES


def test_the_list_says_which_run_is_running(home):
    with hold(home.run(NAMES[1])):
        listed = json.loads(call("list", "--json").stdout)["runs"]
    assert [run["status"] for run in listed] == ["incomplete", "running", "incomplete", "incomplete"]
    assert listed[0]["reason"] == "ended after ingest"
    assert "ended after ingest" in call("list").stdout


def test_a_log_is_that_of_the_named_run_or_of_the_newest(home):
    assert call("log", NAMES[0]).stdout == f"the log of {NAMES[0]}\n"
    assert call("log").stdout == f"the log of {NAMES[-1]}\n"
    assert call("log", "--follow").stdout == f"the log of {NAMES[-1]}\n"  # it has ended


def test_a_log_is_followed_until_the_run_ends(home):
    folder = home.run(NAMES[-1])
    lock = hold(folder)
    lock.__enter__()

    def end() -> None:
        time.sleep(0.2)
        with folder.log.open("a") as log:
            log.write("the last line")
        lock.__exit__(None, None, None)

    ending = threading.Thread(target=end)
    ending.start()
    assert call("log", "--follow").stdout.endswith("the last line\n")
    ending.join()


def test_the_status_of_a_run_has_its_steps_with_verdict_and_reason(home):
    with Run(home, NAMES[-1], {}).step("workloads.evaluate") as result:
        result.update(passed=False, reason="AUC fell")
    shown = call("status").stdout
    assert f"{NAMES[-1]}: stopped. the blessing said no: AUC fell" in shown
    assert "said no: AUC fell" in shown.split("Steps")[1]
    assert json.loads(call("status", NAMES[0], "--json").stdout)["steps"]["ingest"]["status"] == "done"


@pytest.mark.parametrize("exit_code", [2, 75])
def test_waiting_for_a_run_ends_with_its_exit_code(home, exit_code):
    write_json(home.run(NAMES[-1]).request, {"pipeline": "monitoring"})
    error = (InputError if exit_code == 2 else UnavailableError)("A rule.")
    with pytest.raises(type(error)), Run(home, NAMES[-1], {}).step("workloads.ingest"):
        raise error
    assert call("status").exit_code == 0
    error = call("status", "--wait").exception
    assert (error.headline, error.exit_code) == ("The step ingest failed. A rule.", exit_code)


@pytest.mark.parametrize("command", ["log", "stop"])
@pytest.mark.parametrize("name", ["training-2026030T120000", "Training-20260301T120000", "training-20260301T12000"])
def test_an_unknown_run_is_refused_with_a_near_name(home, command, name):
    error = call(command, name).exception
    assert error.headline == f"There is no run {name!r}."
    assert "Did you mean" in error.fix
    assert NAMES[0] in error.fix


@pytest.mark.parametrize("command", ["log", "stop"])
def test_a_home_without_runs_says_how_to_start_one(tmp_path, monkeypatch, command):
    monkeypatch.setenv("SEGUE_HOME", str(tmp_path))
    assert call(command).exception.headline == "There is no run in this home yet."
    assert "No run yet" in call("list").stdout


def test_a_run_that_has_ended_cannot_be_stopped(home):
    assert "is not running: incomplete. ended after ingest." in call("stop").exception.headline


@pytest.mark.parametrize("command", [["list"], ["stop"], ["stop", NAMES[-1]]])
@pytest.mark.parametrize("content", ["", "{", "\0\0"])
def test_a_damaged_record_of_a_step_is_named(home, command, content):
    record = home.run(NAMES[-1]).steps / "ingest.json"
    record.write_text(content)
    error = call(*command).exception
    assert error.headline.startswith(f"{record} must be JSON.")


@pytest.mark.parametrize("pid", [1, os.getpid(), os.getppid()], ids=["init", "this process", "its parent"])
def test_the_process_that_got_the_number_of_a_dead_run_is_left_alone(home, pid):
    run = home.run(NAMES[-1])
    run.lock.write_text(json.dumps({"pid": pid, "host": socket.gethostname()}))  # nobody holds it
    assert "is not running" in call("stop").exception.headline
    assert [each["status"] for each in json.loads(call("list", "--json").stdout)["runs"]] == ["incomplete"] * 4


def test_a_run_of_another_machine_is_running_and_is_stopped_there(home):
    run = home.run(NAMES[-1])
    with hold(run):
        run.lock.write_text(json.dumps({"pid": os.getpid(), "host": "another"}))  # the same file, still held
        assert json.loads(call("list", "--json").stdout)["runs"][-1]["status"] == "running"
        error = call("stop").exception
    assert (error.headline, error.fix) == (f"{NAMES[-1]} runs on another.", "Stop it there.")

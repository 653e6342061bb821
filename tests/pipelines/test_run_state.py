"""A run is running while its process holds the lock; its words say what it does, or after what it ended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.run_state import hold, holder, state, stop, words
from segue.errors import InputError
from segue.files import write_json
from segue.settings import RunFolder
from tests.support.soon import SECONDS
from workloads.run import Run

pytestmark = pytest.mark.usefixtures("default_signals")

ROOT = Path(__file__).resolve().parents[2]

HOLD = """
import sys, time
from pathlib import Path
from pipelines.run_state import hold
from segue.entry import enter
from segue.settings import RunFolder
def wait():
    with hold(RunFolder(Path(sys.argv[1]))):
        print("held", flush=True)
        time.sleep(600)
enter(wait)
"""


@pytest.fixture
def run(home) -> Run:
    """A run with an empty log."""
    run = Run(home, "training-20260301T120000", {})
    run.folder.steps.mkdir(parents=True)
    run.folder.log.touch()
    return run


@pytest.fixture
def process(run):
    """A process that holds the run's lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.folder.path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def running_step(run: Run, log: str = "") -> str:
    """Leave the record of a step that runs, and return the words for the run while it is held."""
    with run.step("workloads.ingest"):
        pass
    write_json(
        run.folder.steps / "train-ranking.json",
        {"step": "train-ranking", "status": "running", "started": time.time(), "result": {}},
    )
    run.folder.log.write_text(log)
    with hold(run.folder):
        return words(state(run.folder))


@pytest.mark.parametrize(
    ("log", "epoch"),
    [
        ("", ""),
        ("=== step train-ranking ===\nprogress: ranking: at most 8 epochs or 5 min over 10 examples\n", ""),
        ("=== step train-ranking ===\nprogress: ranking, epoch 4/8: 35%, loss 0.1\n", " (epoch 4 of 8)"),
        ("=== step train-ranking ===\n    progress: epoch 1/12: loss\n    progress: epoch 2/12: loss 1\nx\n",
         " (epoch 2 of 12)"),
        ("progress: epoch 7/7: loss 0\n=== step train-ranking ===\nreading\n", ""),
    ],
    ids=["no log", "before the first epoch", "within an epoch", "indented by KFP", "epochs of another step"],
)  # fmt: skip
def test_a_running_run_says_its_step_and_epoch(run, log, epoch):
    since = time.strftime("%H:%M")
    said = running_step(run, log)
    assert said in {f"running: train-ranking since {at}{epoch}" for at in (since, time.strftime("%H:%M"))}


def test_a_killed_run_says_after_what_it_ended(run):
    running_step(run)
    assert words(state(run.folder)) == "incomplete. ended after ingest, during train-ranking"


def test_between_two_steps_a_run_is_running_too(run):
    with hold(run.folder):
        assert words(state(run.folder)) == "running: starting"
        with run.step("workloads.ingest"):
            pass
        assert words(state(run.folder)).startswith("running: after ingest since ")


def test_a_lock_ends_with_its_block(run):
    assert holder(run.folder) is None
    with hold(run.folder):
        assert holder(run.folder)["pid"] == os.getpid()
    assert holder(run.folder) is None


def test_an_old_run_without_a_lock_is_not_running(home):
    assert holder(home.run("training-old")) is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_lock_ends_with_its_process(run, process, number):
    assert holder(run.folder)["pid"] == process.pid
    process.send_signal(number)
    process.wait(SECONDS)
    assert holder(run.folder) is None


def test_stopping_ends_the_process_that_holds_the_lock(run, process):
    stop(run.folder)
    assert process.wait(SECONDS) == 128 + signal.SIGTERM
    assert holder(run.folder) is None


def test_only_a_running_run_can_be_stopped(run):
    running_step(run)  # its lock names this process, but is not held
    with pytest.raises(InputError, match=r"is not running: incomplete\. ended after ingest, during train-ranking"):
        stop(run.folder)


def test_a_run_of_another_machine_is_not_stopped_here(run, monkeypatch):
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("socket.gethostname", lambda: "trainer-7")
        lock = hold(run.folder)
        lock.__enter__()
    with pytest.raises(InputError, match="runs on trainer-7"):
        stop(run.folder)
    lock.__exit__(None, None, None)


@pytest.mark.parametrize("folder", ["run with [brackets] #1", "läuft"])
def test_any_folder_can_hold_a_run(tmp_path, folder):
    run = RunFolder(tmp_path / folder)
    run.path.mkdir()
    with hold(run):
        assert holder(run)

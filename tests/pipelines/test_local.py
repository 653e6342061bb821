"""The process of a local run: it ends at the first failure, and with the process that started it."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from kfp import dsl, local
from kfp.local import graph_utils, subprocess_task_handler
from kfp.local.orchestrator import task_executor

from pipelines.local import end_at_first_failure, keep_one_order
from tests.support.soon import SECONDS

pytestmark = pytest.mark.usefixtures("default_signals")

ROOT = Path(__file__).resolve().parents[2]


@dsl.component
def first():
    """A trainer."""


@dsl.component
def second():
    """A trainer that needs nothing of the first."""


@dsl.component
def trial(number: int):
    """A trial of a search."""


@dsl.component
def report():
    """The report, which runs after a failure too."""


@dsl.pipeline
def trainers():
    """Two trainers and a report. A cluster would repeat the trainers."""
    with dsl.ExitHandler(report()):
        first().set_retry(2, backoff_duration="1s")
        second().set_retry(2, backoff_duration="1s")


@dsl.pipeline
def search():
    """Three trials and a report."""
    with dsl.ExitHandler(report()), dsl.ParallelFor([0, 1, 2], parallelism=1) as number:
        trial(number=number)


@pytest.mark.parametrize(
    ("pipeline", "failing", "count"),
    [
        (trainers, [], 3),
        (trainers, ["first", "second"], 2),  # whichever is first, and the report
        (trainers, ["report"], 3),
        (search, [], 4),
        (search, ["trial"], 2),
    ],
)
def test_after_a_failed_step_only_the_report_runs(monkeypatch, tmp_path, pipeline, failing, count):
    executed = []

    def run(full_command, **_):
        (name,) = (name for name in ("first", "second", "trial", "report") if f"def {name}(" in str(full_command))
        executed.append(name)
        return int(name in failing)

    monkeypatch.setattr(subprocess_task_handler, "run_local_subprocess", run)
    monkeypatch.setattr(task_executor, "execute_single_task", task_executor.execute_single_task)  # put back afterwards
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path))
    end_at_first_failure()
    with pytest.raises(RuntimeError, match="FAILURE") if failing else nullcontext():
        pipeline()
    assert len(executed) == count
    assert executed[-1] == "report"


@dsl.pipeline
def trials():
    """Six trials, none of which needs another."""
    for number in range(6):
        trial(number=number)


def test_steps_that_do_not_need_each_other_run_in_the_same_order_each_time(monkeypatch, tmp_path):
    executed = []

    def run(full_command, **_):
        executed.append(int(re.search(r'"number": (\d)', str(full_command))[1]))
        return 0

    monkeypatch.setattr(subprocess_task_handler, "run_local_subprocess", run)
    monkeypatch.setattr(graph_utils, "build_dependency_map", graph_utils.build_dependency_map)  # put back afterwards
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path))
    keep_one_order()
    trials()
    assert executed == [0, 1, 2, 3, 4, 5]


RUN = """
import subprocess, sys
child = subprocess.Popen(
    [sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
)
print(child.pid, child.stdout.readline().decode().strip(), flush=True)
child.wait()
"""
CHILD = """
import subprocess, sys, time
from pipelines.local import end_with_the_other_end
end_with_the_other_end(sys.stdin.fileno())
step = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(step.pid, flush=True)
time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(done.stdout.strip()) and not done.stdout.strip().startswith("Z")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_killed_command_leaves_no_step_behind(number):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", RUN, CHILD], stdout=subprocess.PIPE, env=environment) as command:
        pids = [int(pid) for pid in command.stdout.readline().split()]
        assert all(map(is_alive, pids))
        command.send_signal(number)
    deadline = time.monotonic() + SECONDS
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.02)

"""The process of a local run: it ends at the first failure, and with the process that started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kfp.local import status
from kfp.local.orchestrator import enhanced_dag_orchestrator, task_executor

from pipelines.local import end_at_first_failure

ROOT = Path(__file__).resolve().parents[2]
SUCCESS, FAILURE = status.Status.SUCCESS, status.Status.FAILURE


@pytest.mark.parametrize(
    ("failing", "executed"),
    [
        (set(), ["ingest", "train-retrieval", "train-sequence", "report"]),
        ({"train-retrieval"}, ["ingest", "train-retrieval", "report"]),
        ({"ingest"}, ["ingest", "report"]),
        ({"train-sequence"}, ["ingest", "train-retrieval", "train-sequence", "report"]),
        ({"report"}, ["ingest", "train-retrieval", "train-sequence", "report"]),
    ],
)
def test_after_a_failed_step_only_the_report_runs(monkeypatch, failing, executed):
    names = []

    def execute(task_name, **_):
        names.append(task_name)
        return {}, FAILURE if task_name in failing else SUCCESS

    monkeypatch.setattr(task_executor, "execute_single_task", execute)
    end_at_first_failure()
    # KFP's orchestrator looks the function up in this module.
    steps = ["ingest", "train-retrieval", "train-sequence", "report"]
    ended = [enhanced_dag_orchestrator.task_executor.execute_single_task(task_name=name)[1] for name in steps]
    assert names == executed
    assert FAILURE not in ended or failing


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
step = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(step.pid, flush=True)
time.sleep(60)
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
    deadline = time.monotonic() + 10
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.02)

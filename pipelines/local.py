"""Run a pipeline with `kfp.local` in a child process, whose output is the run's log."""

import os
import signal
import sys
import threading
from pathlib import Path

from segue.files import read_json
from segue.settings import RunFolder


def main(run: RunFolder) -> None:
    """Run the pipeline that the run's request describes, each step in a process of its own."""
    from kfp import local

    from pipelines import PIPELINES, load

    request = read_json(run.request)
    pipeline = load(PIPELINES[request["pipeline"]])
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(run.artifacts))
    keep_one_order()
    end_at_first_failure()
    pipeline(config=request["config"])


def keep_one_order() -> None:
    """Let steps that do not need each other run in the order of their names.

    `kfp.local` takes the tasks of a pipeline as its protobuf map has them, in an order that differs between processes.
    """
    from kfp.local import graph_utils

    build = graph_utils.build_dependency_map
    graph_utils.build_dependency_map = lambda tasks: dict(sorted(build(tasks).items()))


def end_at_first_failure() -> None:
    """Let no step but the report run after a step has failed, and repeat none.

    `kfp.local` would still run each step that needs no output of the failed one: another trainer for its hour, or the
    trials that are left of a search. It would also repeat the failed step after the 30 and 60 s that a cluster waits.
    """
    from kfp.local.orchestrator import task_executor
    from kfp.local.status import Status

    execute = task_executor.execute_single_task
    failed: list[str] = []

    def execute_unless_failed(task_name: str, **task):
        if failed and task_name != "report":
            return {}, Status.FAILURE
        task["task_spec"].ClearField("retry_policy")
        outputs, status = execute(task_name=task_name, **task)
        if status == Status.FAILURE:
            failed.append(task_name)
        return outputs, status

    task_executor.execute_single_task = execute_unless_failed


def end_with_the_other_end(pipe: int) -> None:
    """Kill this process and its steps when the other end of a pipe closes.

    The process that started the run holds it, so no step trains on or pushes after that process was killed.
    """

    def wait() -> None:
        os.read(pipe, 1)  # returns at the end of the pipe; nobody writes to it
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    end_with_the_other_end(sys.stdin.fileno())
    main(RunFolder(Path(sys.argv[1])))

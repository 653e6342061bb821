"""Follow a run on Kubeflow until it ends, as a local run is followed."""

import time
from collections.abc import Callable
from typing import Any

from pipelines.kubeflow import runs
from pipelines.kubeflow.api import Kubeflow
from pipelines.placement import SECRETS, SETTINGS
from pipelines.runner import SILENCE_SECONDS, failure
from segue.errors import UnavailableError
from segue.settings import RunFolder
from workloads.outcome import verdict

POLL_SECONDS = 2.0
# The API does not say which: a pod without its ConfigMap or Secret is pending as one without its image is.
WAITS = f"waits for a node, the image, or {SETTINGS} and {SECRETS} (kubectl get pods)"
LOST_SECONDS = 60.0  # a port-forward is started again, or a server, within this time


def come_back(kubeflow: Kubeflow, run_id: str) -> str:
    """Return the command that follows a run again."""
    return f"segue run status {run_id} --on kfp --host {kubeflow.address} --wait"


def follow(
    kubeflow: Kubeflow,
    run_id: str,
    folder: RunFolder,
    on_step: Callable[[dict], None],
    on_progress: Callable[[str], None],
    poll_seconds: float = POLL_SECONDS,
) -> dict[str, Any]:
    """Report the steps of a run as they change, until the run has ended.

    Args:
        kubeflow: the connection.
        run_id: the run.
        folder: as for `runs.state`.
        on_step: called with a step's record when it changes.
        on_progress: called with a verdict, the cause of a repetition, and each long silence.
        poll_seconds: the time between two looks.

    Returns:
        The run's `runs.state`.

    Raises:
        PipelineFailed: a step failed, and nothing was pushed. A gate that stops the run is a result, not a failure.
        InputError: there is no such run, or the API or the object store refuses.
        UnavailableError: the API or the object store does not answer for a minute. The run goes on.
    """
    statuses: dict[str, tuple] = {}
    seen: object = None
    answered = reported = changed = time.monotonic()
    while True:
        now = time.monotonic()
        try:
            run = runs.get(kubeflow, run_id)
            states = [(task.task_id, task.state) for task in runs.details(run)]
            if (run.state, states) != seen or run.state in runs.ENDED:
                result = runs.state(kubeflow, run, folder)
                if report(result["steps"], statuses, on_step, on_progress):
                    reported = changed = now
                seen = (run.state, states)
            answered = now
        except UnavailableError as error:
            if now - answered > LOST_SECONDS:
                raise UnavailableError(
                    error.headline, f"The run goes on. Follow it: `{come_back(kubeflow, run_id)}`."
                ) from None
            on_progress(f"{error.headline} Asking again.")
            reported = now
        else:
            if run.state in runs.ENDED:
                if result["status"] == "failed":
                    raise failure(runs.pipeline_of(run), result)
                return result
        if now - reported > SILENCE_SECONDS:
            reported = now
            waits = any(task.state == "PENDING" for task in runs.details(run))
            on_progress(f"{WAITS if waits else 'at work'} for {now - changed:.0f} s")
        time.sleep(poll_seconds)


def report(
    steps: dict[str, Any],
    statuses: dict[str, tuple],
    on_step: Callable[[dict], None],
    on_progress: Callable[[str], None],
) -> bool:
    """Report the steps whose status or attempt has changed, and return whether one has."""
    changed = False
    for name, record in steps.items():
        status = (record["status"], record.get("attempt"))
        if statuses.get(name) == status:
            continue
        changed = True
        if name not in statuses or record["status"] == "running":
            on_step(record | {"status": "running"})  # names the step that the next line is about
        statuses[name] = status
        if record["status"] == "running":
            if "cause" in record:
                on_progress(f"attempt {record['attempt']} failed, and is repeated: {record['cause']}")
            continue
        if text := verdict(record):
            on_progress(text)
        on_step(record)
    return changed

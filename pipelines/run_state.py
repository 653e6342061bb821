"""The state of a local run: whether its process is alive, what it is doing, and how it ended."""

import fcntl
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from segue.errors import InputError, UnavailableError
from segue.files import atomic_path, read_json
from segue.progress import MARK
from segue.settings import RunFolder
from workloads.outcome import outcome

TAIL = 100_000  # bytes at the end of a log that are searched for the last line of progress
STOP_SECONDS = 30.0  # the runner gives its steps 10 s before it kills them


@contextmanager
def hold(run: RunFolder) -> Iterator[None]:
    """Mark a run as alive. The kernel holds the lock, so the mark ends with the process, however it ends."""
    with atomic_path(run.lock) as temporary:  # the lock appears with its content, and held
        file = temporary.open("w")
        json.dump({"pid": os.getpid(), "host": socket.gethostname()}, file)
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
    with file:
        yield


def holder(run: RunFolder) -> dict[str, Any] | None:
    """Return the `pid` and the `host` of the process that runs a run now; None if no process does."""
    try:
        with run.lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return read_json(run.lock)
    except FileNotFoundError:
        return None
    return None


def state(run: RunFolder) -> dict[str, Any]:
    """Return a run's `workloads.outcome.outcome`; the status of a run whose process is alive is `running`."""
    alive = holder(run) is not None  # asked first: a run that ends now has its outcome on record
    result = outcome(run)
    return result | {"status": "running", "reason": doing(run, result["steps"])} if alive else result


def words(result: dict[str, Any]) -> str:
    """Return the one sentence that every command says about a run, from its `state`."""
    colon = ":" if result["status"] == "running" else "."
    return f"{result['status']}{colon} {result['reason']}"


def doing(run: RunFolder, steps: dict[str, Any]) -> str:
    """Say which step runs since when, in local time, and its epoch: `train-ranking since 12:03 (epoch 4 of 8)`."""
    if not steps:
        return "starting"
    name = list(steps)[-1]
    since = datetime.fromtimestamp((run.steps / f"{name}.json").stat().st_mtime)  # each change replaces the record
    if steps[name]["status"] != "running":
        return f"after {name} since {since:%H:%M}"
    with run.log.open("rb") as log:
        log.seek(max(0, run.log.stat().st_size - TAIL))
        tail = log.read().decode("utf-8", "replace").rpartition(f"=== step {name} ===")[2]
    epochs = re.findall(rf"^\s*{MARK}.*?epoch (\d+)/(\d+)", tail, re.MULTILINE)
    epoch = f" (epoch {epochs[-1][0]} of {epochs[-1][1]})" if epochs else ""
    return f"{name} since {since:%H:%M}{epoch}"


def stop(run: RunFolder) -> None:
    """End a running run with its steps, as Ctrl-C does, and wait until it has ended.

    The lock is held while its process lives, so the pid in it cannot belong to another process meanwhile.

    Raises:
        InputError: the run is not running, or it runs on another machine or as another user.
        UnavailableError: it has not ended in time.
    """
    process = holder(run)
    if process is None:
        raise InputError(f"{run.path.name} is not running: {words(outcome(run))}.", "List the runs: `segue runs list`.")
    if process["host"] != socket.gethostname():
        raise InputError(f"{run.path.name} runs on {process['host']}.", "Stop it there.")
    try:
        os.kill(process["pid"], signal.SIGTERM)
    except PermissionError:
        raise InputError(
            f"{run.path.name} is run by another user, as process {process['pid']}.", "Stop it as that user."
        ) from None
    except ProcessLookupError:
        return  # it has just ended
    deadline = time.monotonic() + STOP_SECONDS
    while holder(run) is not None:
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"{run.path.name} has not ended within {STOP_SECONDS:.0f} s; its process is {process['pid']}.",
                "Try again, or kill that process.",
            )
        time.sleep(0.1)

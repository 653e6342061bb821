"""Run a pipeline on this machine: a child process, a log file, and a report however it ends."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from segue.errors import EXIT_FAILED, SegueError
from segue.files import read_json, write_json
from segue.progress import MARK
from segue.settings import Home, RunFolder
from workloads.outcome import outcome

POLL_SECONDS = 0.2
SILENCE_SECONDS = 12.0  # after which a step that says nothing gets a line


class PipelineFailed(SegueError):
    """A step failed: which, why, and where its log is. Exits as the step's own error would."""

    def __init__(self, headline: str, fix: str, exit_code: int) -> None:
        super().__init__(headline, fix)
        self.exit_code = exit_code


def new_run(home: Home, name: str, started: datetime) -> RunFolder:
    """Make a run's folder, named by its start; nothing of an earlier run is in it."""
    for suffix in ("", *(f"-{i}" for i in range(2, 100))):
        run = home.run(f"{name}-{started:%Y%m%dT%H%M%S}{suffix}")
        try:
            run.path.mkdir(parents=True)
        except FileExistsError:
            continue
        return run
    raise SegueError(f"A run needs a name of its own; {run.path.name} is taken.", "Wait a second and run again.")


def run_locally(
    home: Home,
    name: str,
    config: dict[str, Any],
    started: datetime,
    on_step: Callable[[dict], None],
    on_progress: Callable[[str], None],
) -> dict[str, Any]:
    """Run a pipeline with `kfp.local` and wait for its end.

    Args:
        home: the home that it works in.
        name: `training`, `monitoring` or `search`.
        config: the pipeline's configuration.
        started: the run is named by this instant.
        on_step: called with a step's record (`step`, `status`, `seconds` once it has ended) when it changes.
        on_progress: called with each line that a running step says of its progress.

    Returns:
        `workloads.outcome.outcome` of the run, with `folder` and `log`.

    Raises:
        PipelineFailed: a step failed; a gate that says no is no failure.
    """
    run = new_run(home, name, started)
    write_json(run.request, {"pipeline": name, "home": str(home.root), "config": config})
    run.temporary.mkdir()
    with run.log.open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "pipelines.local", str(run.path)],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=child_environment(run),
            cwd=run.path,
            start_new_session=True,  # so that the steps below it can be stopped with it
        )
        try:
            follow(run, child, on_step, on_progress)
        except BaseException:
            stop(child)
            raise
        finally:
            shutil.rmtree(run.temporary, ignore_errors=True)
    ended = outcome(run) | {"folder": str(run.path), "log": str(run.log)}
    if child.returncode != 0 and ended["status"] != "failed":
        ended |= {"status": "failed", "reason": last_line(run.log)}
    write_json(run.report, ended)
    if ended["status"] == "failed":
        raise failure(name, ended)
    return ended


def failure(name: str, ended: dict[str, Any]) -> PipelineFailed:
    """The error that says which step failed, why, what to do and where the log is."""
    record = ended["steps"].get(ended["failed_step"], {})
    step = f"The step {ended['failed_step']}" if record else f"The {name} pipeline"
    fix = record.get("fix") or "A rerun starts clean."
    cause = record.get("cause") or ended["reason"].strip()
    return PipelineFailed(
        f"{step} failed. {cause}", f"{fix} The log is {ended['log']}.", record.get("exit_code", EXIT_FAILED)
    )


def child_environment(run: RunFolder) -> dict[str, str]:
    """The environment of a run: quiet libraries, nothing sent anywhere, bytecode written."""
    quiet = {
        "PYTHONWARNINGS": "ignore",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TF_USE_LEGACY_KERAS": "1",
        "FEAST_USAGE": "False",
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TMPDIR": str(run.temporary),  # KFP leaves a folder a task behind
    }
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | quiet


def follow(
    run: RunFolder, child: subprocess.Popen, on_step: Callable[[dict], None], on_progress: Callable[[str], None]
) -> None:
    """Report each change of a step, each line of its progress, and a sign of life in long silences, until the end."""
    seen: dict[str, str] = {}
    started = spoken = time.monotonic()  # of the running step, and of the last report
    with run.log.open(encoding="utf-8", errors="replace") as log:
        while True:
            try:
                child.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                pass
            for path in sorted(run.steps.glob("*.json"), key=lambda p: p.stat().st_mtime):
                record = read_json(path)
                if seen.get(record["step"]) != record["status"]:
                    seen[record["step"]] = record["status"]
                    on_step(record)
                    started = spoken = time.monotonic()
            for line in whole_lines(log):
                if line.strip().startswith(MARK):
                    on_progress(line.strip().removeprefix(MARK))
                    spoken = time.monotonic()
            if time.monotonic() - spoken > SILENCE_SECONDS:
                spoken = time.monotonic()
                on_progress(f"at work for {spoken - started:.0f} s")
            if child.returncode is not None:
                return


def whole_lines(log: TextIO) -> Iterator[str]:
    """The lines that were added to a log since the last call; half a line waits for its end."""
    while True:
        start = log.tell()
        line = log.readline()
        if not line.endswith("\n"):
            log.seek(start)
            return
        yield line


def stop(child: subprocess.Popen) -> None:
    """End a run and the steps below it."""
    try:
        os.killpg(child.pid, signal.SIGTERM)
        child.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    except ProcessLookupError:
        child.wait()


def last_line(path: Path) -> str:
    """The last line of a log that says something."""
    lines = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "The process ended without a word."

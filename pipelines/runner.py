"""Run a pipeline on this machine in a child process, with a log file and a report."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from pipelines.run_state import hold, words
from segue.errors import EXIT_FAILED, InputError, SegueError
from segue.files import TEMPORARY, read_json, remove_unfinished, write_json
from segue.lock import locked
from segue.progress import MARK
from segue.settings import Home, RunFolder
from stores import records
from workloads.outcome import outcome

POLL_SECONDS = 0.2
RESERVE_BYTES = 65_536  # a step's record and the report have a few thousand
SILENCE_SECONDS = 12.0  # a step that prints nothing for this long gets a line of progress


class PipelineFailed(SegueError):
    """A pipeline failed. The error names the step, the cause and the log, and has the exit code of the step's error."""

    def __init__(self, headline: str, fix: str, exit_code: int) -> None:
        super().__init__(headline, fix)
        self.exit_code = exit_code


def new_run(home: Home, name: str, started: datetime) -> RunFolder:
    """Make a new, empty folder for a run, named by its start."""
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
    why: str = "",
) -> dict[str, Any]:
    """Run a pipeline with `kfp.local` and wait until it ends.

    Args:
        home: the home that holds the run's state.
        name: `training`, `monitoring` or `search`.
        config: the pipeline's configuration.
        started: the time of the start, which names the run.
        on_step: called with a step's record (`step`, `status`, `seconds` once it has ended) when it changes.
        on_progress: called with each line of progress that a running step prints.
        why: the reason of the start, for who reads it later.

    Returns:
        The run's `workloads.outcome.outcome`, and the paths of its `folder` and its `log`.

    Raises:
        PipelineFailed: a step failed, and nothing was pushed. A gate that stops the run is a result, not a failure.
        InputError: TensorFlow cannot load a model from the home.
        UnavailableError: another run of the home is at work.
    """
    patterns = set("[*?\\") & set(str(home.root))
    if patterns:
        raise InputError(
            f"TensorFlow takes [, *, ? and \\ in the path of a model for patterns. SEGUE_HOME is {home.root}.",
            "Move the home to a path without these characters; nothing else has to change.",
        )
    # The child process inherits the lock: if this process is killed, no other run starts beside the child.
    with locked(home.lock, f"segue run {name}", started) as lock:
        remove_leftovers(home)
        run = new_run(home, name, started)
        write_json(run.request, {"pipeline": name, "home": str(home.root), "config": config, "why": why})
        run.temporary.mkdir()
        run.reserve.write_bytes(os.urandom(RESERVE_BYTES))
        with hold(run), run.log.open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "pipelines.local", str(run.path)],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.PIPE,  # closes with this process, which ends the child: `pipelines.local`
                env=child_environment(home, run),
                cwd=run.path,
                pass_fds=[lock.fileno()],
                start_new_session=True,  # so that `stop` reaches its own child processes too
            )
            try:
                on_progress(f"run {run.path.name}: follow it with `segue runs log`, end it with `segue runs stop`")
                follow(run, child, on_step, on_progress)
            except BaseException:
                stop(child)
                ended = outcome(run)
                write_json(run.report, ended | places(run))
                with suppress(OSError):  # the terminal is gone after a SIGHUP
                    on_progress(f"run {run.path.name}: {words(ended)}")
                raise
            finally:
                kill_rest(child)
                shutil.rmtree(run.temporary, ignore_errors=True)
        records.bring(run)  # of steps that ran in homes of their own
        result = outcome(run) | places(run)
        if child.returncode != 0 and result["failed_step"] is None:
            result |= unrecorded_failure(result)
        write_json(run.report, result)
        if result["status"] == "failed":
            raise failure(name, result)
        return result


def remove_leftovers(home: Home) -> None:
    """Remove what killed commands and runs have left half-written in a home. No run is at work meanwhile."""
    remove_unfinished(home.root, home.data.name)
    parts = (home.features, home.runs, home.reports)
    for folder in {path.parent for part in parts for path in part.rglob(f"{TEMPORARY}*")}:
        remove_unfinished(folder)
    for run in home.run_folders():
        shutil.rmtree(run.temporary, ignore_errors=True)


def unrecorded_failure(result: dict[str, Any]) -> dict[str, Any]:
    """Return what changes in the outcome of a run that failed without a record, as when a step's process was killed."""
    killed = next((name for name, record in result["steps"].items() if record["status"] == "running"), None)
    cause = "Its process was killed; the machine may be short of memory."
    if result["status"] == "pushed":
        return {"failed_step": killed, "reason": f"{result['reason']}; but {killed} failed: {cause}"} if killed else {}
    reason = cause if killed else last_line(Path(result["log"]))
    return {"status": "failed", "failed_step": killed, "reason": reason}


def places(run: RunFolder) -> dict[str, str]:
    """Return the paths of a run's folder and log, for its report."""
    return {"folder": str(run.path), "log": str(run.log)}


def failure(name: str, result: dict[str, Any]) -> PipelineFailed:
    """Return the error that names the failed step, the cause, the fix and the log."""
    record = result["steps"].get(result["failed_step"], {})
    step = f"The step {result['failed_step']}" if record else f"The {name} pipeline"
    fix = record.get("fix") or "A rerun starts clean."
    cause = record.get("cause") or result["reason"].strip()
    return PipelineFailed(
        f"{step} failed. {cause}", f"{fix} The log is {result['log']}.", record.get("exit_code", EXIT_FAILED)
    )


def child_environment(home: Home, run: RunFolder) -> dict[str, str]:
    """Return the environment of a run's steps.

    It names the home and the run. Libraries are quiet and send no usage data, and Python writes bytecode.
    """
    changed = {
        "SEGUE_HOME": str(home.root),
        "SEGUE_RUN_ID": run.path.name,
        "PYTHONWARNINGS": "ignore",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TF_USE_LEGACY_KERAS": "1",
        "FEAST_USAGE": "False",
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # For MLflow's own experiment `Default`: MLflow writes the working directory into SQL as Python's repr.
        "_MLFLOW_SERVER_ARTIFACT_ROOT": home.tracking_artifacts.as_uri(),
        "TMPDIR": str(run.temporary),  # KFP leaves one folder for each task
    }
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | changed


def follow(
    run: RunFolder, child: subprocess.Popen, on_step: Callable[[dict], None], on_progress: Callable[[str], None]
) -> None:
    """Report changes of steps, lines of progress and long silences, until the child process ends."""
    statuses: dict[str, str] = {}
    started = reported = time.monotonic()  # of the running step, and of the last report
    with run.log.open(encoding="utf-8", errors="replace") as log:
        while True:
            try:
                child.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                pass
            for path in sorted(run.steps.glob("*.json"), key=lambda p: p.stat().st_mtime):
                record = read_json(path)
                if statuses.get(record["step"]) != record["status"]:
                    statuses[record["step"]] = record["status"]
                    on_step(record)
                    started = reported = time.monotonic()
            for line in whole_lines(log):
                if line.strip().startswith(MARK):
                    on_progress(line.strip().removeprefix(MARK))
                    reported = time.monotonic()
            if time.monotonic() - reported > SILENCE_SECONDS:
                reported = time.monotonic()
                on_progress(f"at work for {reported - started:.0f} s")
            if child.returncode is not None:
                return


def whole_lines(log: TextIO) -> Iterator[str]:
    """Yield the lines that were added to a log since the last call; an unfinished line waits for the next call."""
    while True:
        start = log.tell()
        line = log.readline()
        if not line.endswith("\n"):
            log.seek(start)
            return
        yield line


def stop(child: subprocess.Popen) -> None:
    """End a run with all its child processes."""
    try:
        os.killpg(child.pid, signal.SIGTERM)
        child.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    except ProcessLookupError:
        child.wait()


def kill_rest(child: subprocess.Popen) -> None:
    """Kill the steps of a run whose own process has been killed; they would train on, and push."""
    with suppress(ProcessLookupError, PermissionError):  # macOS: the group has only zombies
        os.killpg(child.pid, signal.SIGKILL)


def last_line(path: Path) -> str:
    """Return the last line of a log that is not blank."""
    lines = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "The process ended without any output."

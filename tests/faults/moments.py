"""The moments at which a command can be killed, found by watching it: before each of its writes that last.

A write lasts if another process sees it: a file or folder gets its name or loses it, or MLflow commits. Each is named
after what is written, so a step that is added to a command is a moment without anybody listing it.
"""

import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from segue import files

READING = ("__init__", "get_", "search_")  # calls of MLflow that change nothing
# What differs between two runs of a command: the names of runs, times, and the marks of temporary files.
OWN = [
    (re.compile(r"(training)-\d{8}T\d{6}(-\d+)?"), r"\1"),
    (re.compile(r"\d{8}T\d{6}(\.\d{6})?"), "TIME"),
    (re.compile(r"[0-9a-f]{32}"), "ID"),
]


def die(_: str) -> None:
    """End this process at once, as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def note(file: Path) -> Callable[[str], None]:
    """Return a function that writes a moment into a file, a line each."""

    def append(moment: str) -> None:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, f"{moment}\n".encode())
        os.close(descriptor)

    return append


def at_moment(wanted: str, action: Callable[[str], None]) -> Callable[[str], None]:
    """Return a function that calls `action` at one moment only."""

    def only(moment: str) -> None:
        if moment == wanted:
            action(moment)

    return only


def watch(home: Path, action: Callable[[str], None]) -> None:
    """Call a function before each write of this process that lasts, with the moment's name.

    The second write of a file is `models/rollout.json (2)`. It cannot be undone: the process is one of a round.
    """
    from mlflow import MlflowClient
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    times: Counter[str] = Counter()

    def come(what: str) -> None:
        times[what] += 1
        action(what if times[what] == 1 else f"{what} ({times[what]})")

    def name(path: object) -> str | None:
        """The name of a path in the home; None outside of it, and of temporary files and artifacts of runs."""
        relative = os.path.relpath(os.fsdecode(os.fspath(path)), home)
        if (
            relative.startswith("..")
            or "artifacts" in relative
            or any(part.startswith(files.TEMPORARY) for part in Path(relative).parts)
        ):
            return None
        for pattern, replacement in OWN:
            relative = pattern.sub(replacement, relative)
        return relative

    def audit(kind: str, arguments: tuple) -> None:
        if kind == "os.rename":
            if given := name(arguments[1]):
                come(given)
            elif taken := name(arguments[0]):
                come(f"{taken} is removed")
        elif (kind == "os.remove" and arguments[1] == -1) or kind == "shutil.rmtree":
            taken = name(arguments[0])
            if taken and os.path.lexists(arguments[0]):
                come(f"{taken} is removed")

    exchanged = files.exchanged

    def exchange(new: Path, target: Path) -> bool:
        if given := name(target):
            come(given)
        return exchanged(new, target)

    def commit(_: object) -> None:
        frame, call = sys._getframe(), ""
        while frame := frame.f_back:
            if isinstance(frame.f_locals.get("self"), MlflowClient):
                call = frame.f_code.co_name
        if call and not call.startswith(READING):
            come(f"MLflow: {call}")

    files.exchanged = exchange
    event.listen(Engine, "commit", commit)
    sys.addaudithook(audit)

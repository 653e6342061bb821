"""The entry point of every command: it sets up the environment and signals, and prints errors as two lines."""

import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from types import FrameType
from typing import Any, TextIO

from segue.errors import InputError
from segue.os_errors import explained
from segue.terminal import say


def buffered(stream: TextIO) -> TextIO:
    """A text stream that survives short writes.

    With PYTHONUNBUFFERED, which most images set, Python writes text straight to the pipe, and the rest of a short write
    is lost without an error. A buffer writes the rest too. It is line-buffered, so each line still appears at once.
    """
    if not isinstance(stream.buffer, io.RawIOBase):
        return stream
    buffer = io.BufferedWriter(stream.buffer)
    return io.TextIOWrapper(buffer, stream.encoding, stream.errors, line_buffering=True)


def open_streams() -> None:
    """Check that stdout is open, and open stdin and stderr on the null device if they are closed.

    Otherwise the next file that is opened takes the number of the closed stream, and its output goes into that file.

    Raises:
        InputError: stdout is closed.
    """
    closed = [number for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)) if stream is None]
    for number in closed:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, number)
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # for the life of the process
    if 1 in closed:
        raise InputError("A command prints to stdout. It is closed.", "Add `> /dev/null` to print nothing.")


def drop_unwritten_output() -> None:
    """Discard what stdout could not write, so that Python does not fail again on it when the process ends."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def loads_library(frame: FrameType | None) -> bool:
    """Whether a frame is called, at any depth, by the loading of a library in C++."""
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), ExtensionFileLoader):
            return True
        frame = frame.f_back
    return False


def enter(command: Callable[[], Any]) -> None:
    """Run a command as the entry point of a process.

    A `SegueError` is printed as two lines on stderr, the headline and the fix, and ends the process with its exit code.
    So is an error of the operating system, also if a library wraps it.
    """
    # TensorFlow Recommenders needs Keras 2. TensorFlow reads this when it is imported, here and in child processes.
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # With bytecode TensorFlow imports in 7 s instead of 26 s; child processes inherit this.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # SIGTERM, and SIGHUP of a closed terminal, raise SystemExit, so `finally` blocks stop the child processes.
    signals: list[int] = []

    def end(received: int, frame: FrameType | None) -> None:
        if loads_library(frame):  # an exception there aborts the process
            threading.Timer(0.05, os.kill, (os.getpid(), received)).start()
            return
        signals.append(received)
        sys.exit(128 + received)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` ignores SIGHUP
            signal.signal(number, end)
    try:
        open_streams()
        sys.stdout = buffered(sys.stdout)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # characters that the terminal lacks become ?
        command()
    except Exception as caught:
        error = explained(caught)
        if signals:  # a library made another error of SystemExit: DuckDB says "Query interrupted"
            sys.exit(128 + signals[0])
        if error is None:
            raise
        drop_unwritten_output()
        say(f"error: {error.headline}", fg="red", err=True)
        if error.fix:
            say(f"  fix: {error.fix}", err=True)
        sys.exit(error.exit_code)

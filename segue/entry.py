"""The entry point of every command: it sets up the environment and signals, and prints errors as two lines."""

import io
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TextIO

from segue.errors import SegueError
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


def enter(command: Callable[[], Any]) -> None:
    """Run a command as the entry point of a process.

    A `SegueError` is printed as two lines on stderr, the headline and the fix, and ends the process with its exit code.
    """
    sys.stdout = buffered(sys.stdout)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # characters that the terminal lacks become ?
    # TensorFlow Recommenders needs Keras 2. TensorFlow reads this when it is imported, here and in child processes.
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # With bytecode TensorFlow imports in 7 s instead of 26 s; child processes inherit this.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # SIGTERM, and SIGHUP of a closed terminal, raise SystemExit, so `finally` blocks stop the child processes.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` ignores SIGHUP
            signal.signal(number, lambda received, _: sys.exit(128 + received))
    try:
        command()
    except SegueError as error:
        say(f"error: {error.headline}", fg="red", err=True)
        if error.fix:
            say(f"  fix: {error.fix}", err=True)
        sys.exit(error.exit_code)

"""What every command of ours does before and after its work: environment, signals, errors as two lines."""

import io
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TextIO

import click

from segue.errors import SegueError


def buffered(stream: TextIO) -> TextIO:
    """A text stream that writes everything it is given.

    With PYTHONUNBUFFERED, which most images set, Python writes text straight to the pipe, and the rest of a short write
    is lost without an error. A buffer writes on; lines still leave at once.
    """
    if not isinstance(stream.buffer, io.RawIOBase):
        return stream
    buffer = io.BufferedWriter(stream.buffer)
    return io.TextIOWrapper(buffer, stream.encoding, stream.errors, line_buffering=True)


def enter(command: Callable[[], Any]) -> None:
    """Run a command as a process' entry point; a `SegueError` becomes two lines on stderr and its exit code."""
    sys.stdout = buffered(sys.stdout)
    # TensorFlow Recommenders needs Keras 2; read when TensorFlow is imported, here and in children.
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Bytecode takes an import of TensorFlow from 26 s to 7 s; children inherit this.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # As an exception, so that what this process started is stopped too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        command()
    except SegueError as error:
        click.secho(f"error: {error.headline}", fg="red", err=True)
        if error.fix:
            click.echo(f"  fix: {error.fix}", err=True)
        sys.exit(error.exit_code)

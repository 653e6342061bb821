"""Keeps the messages of libraries off the terminal."""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Hold back stderr while TensorFlow loads, because no flag silences its C++ side.

    If the body raises, the held text is printed.
    """
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(original, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Hold back what libraries log below a warning: MLflow says when it makes its tables."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Send the stdout of libraries to stderr: DuckDB draws a bar from its C++ side when a query takes long."""
    sys.stdout.flush()
    original = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(original, 1)
        os.close(original)

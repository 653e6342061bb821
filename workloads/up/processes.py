"""Servers as processes of their own: started, waited for and ended by the process that needs them."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from segue.errors import UnavailableError

READY_SECONDS, STOP_SECONDS, POLL_SECONDS = 120.0, 20.0, 0.2
PR_SET_PDEATHSIG = 1


def start(command: list[str], log: Path, environment: Mapping[str, str] = {}) -> subprocess.Popen:
    """Start `python -m COMMAND` in a session of its own, so that a Ctrl-C reaches the caller alone.

    Args:
        command: the module and its arguments.
        log: where its output goes, after what is there.
        environment: variables beside those of this process.
    """
    libc = ctypes.CDLL(None)  # loaded here, because a child of a process with threads must not load libraries
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # The kernel ends the child when this process ends, also when this process is killed.
            preexec_fn=(lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)) if sys.platform == "linux" else None,
        )


def stop(process: subprocess.Popen) -> None:
    """End a process of `start` and its children: by SIGTERM, and by SIGKILL if it has not ended 20 s later."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


@contextmanager
def running(
    name: str, command: list[str], log: Path, ready: Callable[[], bool], fix: str, environment: Mapping[str, str] = {}
) -> Iterator[None]:
    """Run a process while the body runs, which begins when it is ready.

    Args:
        name: of the server, for the error.
        command: as in `start`.
        log: where its output goes.
        ready: whether it answers.
        fix: what to do beside reading the log if it does not start.
        environment: as in `start`.

    Raises:
        UnavailableError: The process ends, or is not ready in time.
    """
    process = start(command, log, environment)
    try:
        wait_until(ready, process, name, log, fix)
        yield
    finally:
        stop(process)


def wait_until(ready: Callable[[], bool], process: subprocess.Popen, name: str, log: Path, fix: str) -> None:
    """Wait until a server is ready.

    Raises:
        UnavailableError: It ended, or the time is up.
    """
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise UnavailableError(
                f"The {name} is ready within {READY_SECONDS:.0f} s. Its exit code so far is {process.poll()}.",
                f"Read {log}, and {fix}.",
            )
        time.sleep(POLL_SECONDS)


def accepts(port: int) -> bool:
    """Return whether a server accepts connections on a port of this machine."""
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])

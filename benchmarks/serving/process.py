"""Start, end and measure the processes of the serving benchmarks."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from segue.errors import SegueError, UnavailableError
from serving.client.sync_client import Client

START_SECONDS = 60.0  # until a server must be ready
STOP_SECONDS = 30.0  # until a process must have ended
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """Return a TCP port of the loopback address that no process listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def start(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> subprocess.Popen:
    """Start this Python interpreter with the arguments `command`; its output is appended to `log`."""
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", *command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})},
        )


def start_server(port: int, flags: Iterable[str], home: Path, log: Path) -> subprocess.Popen:
    """Start the model server with `SEGUE_HOME=home`."""
    command = ["-m", "serving", f"--port={port}", *flags]
    return start(command, log, {"SEGUE_HOME": str(home)})


@contextlib.contextmanager
def ending(process: subprocess.Popen) -> Iterator[subprocess.Popen]:
    """End a process when the body ends: by SIGTERM, and by SIGKILL if it still runs after `STOP_SECONDS`."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            kill(process)


def kill(process: subprocess.Popen) -> None:
    """Send SIGKILL and wait for the end."""
    process.send_signal(signal.SIGKILL)
    process.wait(STOP_SECONDS)


def wait_ready(process: subprocess.Popen, address: str, models: Sequence[str], log: Path) -> None:
    """Wait until a server is ready to answer for all models.

    Raises:
        SegueError: the server ended or took too long; the fix shows the end of its log.
    """
    deadline = time.monotonic() + START_SECONDS
    with Client(address) as client:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                return client.wait_ready(models, timeout=1.0)
            except UnavailableError:
                continue
    tail = log.read_text(errors="replace")[-2000:]
    raise SegueError(f"A server of the benchmark did not become ready at {address}.", f"Its log ends with:\n{tail}")


def cpu_seconds(pid: int) -> float:
    """User and system CPU time of a process with all its threads, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def rss_mb(pid: int) -> float:
    """Resident memory of a process in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1024

"""The processes that the serving benchmarks start, and what the kernel knows of them."""

import contextlib
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from segue.errors import SegueError, UnavailableError
from serving.client.sync_client import Client

START_SECONDS = 60.0
STOP_SECONDS = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def start(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> subprocess.Popen:
    """Start a process of this interpreter; what it prints is added to `log`."""
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", *command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})},
        )


def start_server(port: int, flags: Iterable[str], home: Path, log: Path) -> subprocess.Popen:
    """Start the model server."""
    command = ["-m", "serving", f"--port={port}", *flags]
    return start(command, log, {"SEGUE_HOME": str(home)})


@contextlib.contextmanager
def ending(process: subprocess.Popen) -> Iterator[subprocess.Popen]:
    """End a process with the body: SIGTERM, and SIGKILL if that does not do."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            kill(process)


def kill(process: subprocess.Popen) -> None:
    """SIGKILL, and wait for the end."""
    process.send_signal(signal.SIGKILL)
    process.wait(STOP_SECONDS)


def wait_ready(process: subprocess.Popen, address: str, models: Sequence[str], log: Path) -> None:
    """Return once a server answers for all models.

    Raises:
        SegueError: it ended, or took too long; with the end of its log.
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
    """CPU time that a process with all its threads has used, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_mb(pid: int) -> float:
    """Resident memory of a process, MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1024


def target(value: float, least: float | None = None, most: float | None = None) -> dict[str, Any]:
    """A figure beside its limit: `value`, `at_least` or `at_most`, `holds`."""
    if least is not None:
        return {"value": value, "at_least": least, "holds": value >= least}
    assert most is not None
    return {"value": value, "at_most": most, "holds": value <= most}


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("tensorflow", "grpcio", "numpy")},
    }

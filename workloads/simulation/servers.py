"""The servers of a simulation: processes of their own, as in production, that end with the simulation."""

import ctypes
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from segue.errors import UnavailableError
from segue.settings import Home
from serving.store import model_store

READY_SECONDS, STOP_SECONDS, POLL_SECONDS = 120.0, 20.0, 0.2
PR_SET_PDEATHSIG = 1


@contextmanager
def model_server(home: Home) -> Iterator[str]:
    """Run the model server of a home while the body runs, and yield its `host:port`.

    Raises:
        UnavailableError: It does not start.
    """
    port = free_port()
    command = ["serve", f"--port={port}", "--rest_api_port=0"]
    with running(home, "model-server", command, lambda: accepts(port)):
        yield f"127.0.0.1:{port}"


@contextmanager
def gateway(home: Home, server: str) -> Iterator[str]:
    """Run the gateway of a home on a model server while the body runs, and yield its `http://host:port`.

    It is ready once it uses the stable model versions, of which the last may have been pushed just before.

    Raises:
        UnavailableError: It does not start, or does not get ready.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = ["gateway", "--server", server, "--port", str(port), "--simulated-clock"]
    versions = {model: int(folder.name) for model, folder in model_store.stable(home.models).items()}
    with running(home, "gateway", command, lambda: is_ready(address, versions)):
        yield address


@contextmanager
def running(home: Home, name: str, command: list[str], ready: Callable[[], bool]) -> Iterator[None]:
    """Run a `segue` command while the body runs. Its output goes to `<name>.log` beside the simulation's records.

    Raises:
        UnavailableError: The command ends, or is not ready in time.
    """
    log = home.simulation / f"{name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "segue", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=end_with_parent if sys.platform == "linux" else None,
        )
    try:
        wait_until(ready, process, name, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(ready: Callable[[], bool], process: subprocess.Popen, name: str, log: Path) -> None:
    """Wait until a server is ready.

    Raises:
        UnavailableError: It ended, or the time is up.
    """
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise UnavailableError(
                f"The {name} is ready within {READY_SECONDS:.0f} s. Its exit code so far is {process.poll()}.",
                f"Read {log}, and run `segue simulate` again.",
            )
        time.sleep(POLL_SECONDS)


def end_with_parent() -> None:
    """Ask the kernel to end this process when its parent ends, also when the parent is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def accepts(port: int) -> bool:
    """Return whether a server accepts connections on a port of this machine."""
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def is_ready(address: str, versions: dict[str, int]) -> bool:
    """Return whether a gateway answers, everything that it stands on does, and it uses these model versions."""
    try:
        state = httpx.get(f"{address}/readyz", timeout=5)
    except httpx.TransportError:
        return False
    return state.is_success and not state.json()["down"] and state.json()["models"] == versions


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])

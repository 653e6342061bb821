"""The servers of a simulation: processes of their own, as in production, that end with the simulation."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from segue.settings import Home
from serving.store import model_store
from workloads.up.processes import accepts, free_port, running

AGAIN = "run `segue simulate` again"


@contextmanager
def model_server(home: Home, log: Path) -> Iterator[str]:
    """Run a model server of a home's own store while the body runs, and yield its `host:port`.

    Args:
        home: The home.
        log: Where its output goes.

    Raises:
        UnavailableError: It does not start.
    """
    port = free_port()
    command = ["segue", "serve", f"--port={port}", "--rest_api_port=0"]
    with running("model-server", command, log, lambda: accepts(port), AGAIN, {"SEGUE_HOME": str(home.root)}):
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
    command = ["segue", "gateway", "--server", server, "--port", str(port), "--simulated-clock"]
    versions = {model: int(folder.name) for model, folder in model_store.stable(home.models).items()}
    with running("gateway", command, home.simulation / "gateway.log", lambda: is_ready(address, versions), AGAIN):
        yield address


def is_ready(address: str, versions: dict[str, int]) -> bool:
    """Return whether a gateway answers, everything that it stands on does, and it uses these model versions."""
    try:
        state = httpx.get(f"{address}/readyz", timeout=5)
    except httpx.TransportError:
        return False
    return state.is_success and not state.json()["down"] and state.json()["models"] == versions

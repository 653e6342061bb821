"""MLflow's pages, on the home's tracking database; the server starts when somebody first asks for them."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from segue.settings import Home
from tracking.address import tracking_uri
from workloads.up.processes import accepts, free_port, start, stop


class MlflowPages:
    """A server of MLflow that starts on request.

    Args:
        home: whose runs are shown; the output goes to `up/mlflow.log` there.
    """

    def __init__(self, home: Home) -> None:
        self._uri = tracking_uri(home)
        self._log = home.root / "up" / "mlflow.log"
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None
        self._port = 0

    def open(self) -> str | None:
        """The address of the pages; None while the server starts. A server that has ended starts again."""
        if self._uri.startswith(("http:", "https:")):
            return self._uri
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._port = free_port()
                command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port), "--workers", "1"]
                # The address may hold a password, which a command line would show; jobs would be more processes.
                variables = {"MLFLOW_BACKEND_STORE_URI": self._uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
                self._process = start(command, self._log, variables)
        return f"http://127.0.0.1:{self._port}/" if accepts(self._port) else None

    def stop(self) -> None:
        """End the server, if it was started."""
        if self._process:
            stop(self._process)


@contextmanager
def mlflow_pages(home: Home) -> Iterator[MlflowPages]:
    """MLflow's pages while the body runs."""
    pages = MlflowPages(home)
    try:
        yield pages
    finally:
        pages.stop()

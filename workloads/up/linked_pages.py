"""MLflow's and Evidently's own pages on a home; each server starts when somebody first asks for its pages."""

import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from segue.errors import UnavailableError
from segue.settings import Home
from tracking.address import tracking_uri
from workloads.up.processes import accepts, free_port, start, stop

Open = Callable[[], str | None]


class LinkedPages:
    """A server that starts on request.

    Args:
        command: the module and its arguments but for the port, which `--port` names.
        log: where its output goes.
        environment: variables beside those of this process.
    """

    def __init__(self, command: list[str], log: Path, environment: Mapping[str, str]) -> None:
        self._command = command
        self._log = log
        self._environment = environment
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None
        self._port = 0

    def open(self) -> str | None:
        """The address of the pages; None while the server starts.

        Raises:
            UnavailableError: the server has ended since. The next call starts it again.
        """
        with self._lock:
            if self._process is not None and (code := self._process.poll()) is not None:
                self._process = None
                raise UnavailableError(
                    f"The server of these pages runs until `segue up` ends. It ended with exit code {code}.",
                    f"Read {self._log}, and open the link again.",
                )
            if self._process is None:
                self._port = free_port()
                command = [*self._command, "--host", "127.0.0.1", "--port", str(self._port)]
                self._process = start(command, self._log, self._environment)
        return f"http://127.0.0.1:{self._port}/" if accepts(self._port) else None

    def stop(self) -> None:
        """End the server, if it was started."""
        if self._process:
            stop(self._process)


@contextmanager
def linked_pages(home: Home) -> Iterator[dict[str, Open]]:
    """The pages of MLflow and Evidently while the body runs: name -> opens them. Their output goes to `up/`."""
    uri, log = tracking_uri(home), home.root / "up"
    # The address may hold a password, which a command line would show; jobs would be more processes.
    variables = {"MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    mlflow = LinkedPages(["mlflow", "server", "--workers", "1"], log / "mlflow.log", variables)
    command = ["monitoring.evidently_pages", str(home.drift_snapshots)]
    evidently = LinkedPages(command, log / "evidently.log", {"DO_NOT_TRACK": "1"})
    with ExitStack() as stack:
        for pages in (mlflow, evidently):
            stack.callback(pages.stop)
        is_server = uri.startswith(("http:", "https:"))
        yield {"MLflow": (lambda: uri) if is_server else mlflow.open, "Evidently": evidently.open}

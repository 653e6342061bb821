"""The model server of `segue up`: started beside the gateway, and started again if it dies."""

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from segue.errors import UnavailableError
from segue.settings import Home
from workloads.up.processes import start, stop

WATCH_SECONDS = 1.0  # between two looks at the process
LEAST_SECONDS = 10.0  # that a process lives which is worth starting again


class ModelServer:
    """`segue serve` on a port, as long as somebody watches it.

    Args:
        home: whose models are served; the output goes to `up/model-server.log` there.
        port: of gRPC.
    """

    def __init__(self, home: Home, port: int) -> None:
        self._log = home.root / "up" / "model-server.log"
        self._command = ["segue", "serve", f"--port={port}", "--rest_api_port=0"]
        self._began = 0.0
        self._process = self._start()

    def _start(self) -> subprocess.Popen:
        self._began = time.monotonic()
        return start(self._command, self._log)

    async def watch(self, say: Callable[[str], None]) -> None:
        """Watch the model server, and start it again each time it ends. The caller cancels the watch.

        Raises:
            UnavailableError: it ends again and again.
        """
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            code = self._process.poll()
            if code is None:
                continue
            if time.monotonic() - self._began < LEAST_SECONDS:
                raise UnavailableError(
                    f"The model server runs until it is stopped. It ended with exit code {code} after "
                    f"{time.monotonic() - self._began:.0f} s.",
                    f"Read {self._log}, and run `segue up` again.",
                )
            say(f"the model server ended with exit code {code}; it is started again")
            self._process = self._start()

    def stop(self) -> None:
        """End the server."""
        stop(self._process)


@contextmanager
def model_server(home: Home, port: int) -> Iterator[ModelServer]:
    """A model server while the body runs."""
    server = ModelServer(home, port)
    try:
        yield server
    finally:
        server.stop()

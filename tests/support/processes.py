"""Commands of Segue as processes of their own, on loopback, for tests that stop and kill them."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Running:
    """A long-running command. `address` is what its start line names after the last word of `said`.

    Args:
        home: SEGUE_HOME of the process.
        arguments: of `segue`.
        said: a pattern of the start line, with the address as its group.
    """

    def __init__(self, home: Path, arguments: Sequence[str], said: str) -> None:
        environment = {**os.environ, "SEGUE_HOME": str(home), "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "segue", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._said = said
        self._seen = threading.Event()
        self.address = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def wait(self, seconds: float = 600) -> "Running":
        """Wait for the start line."""
        assert self._seen.wait(seconds), "".join(self.lines)
        assert self.address, "".join(self.lines)
        return self

    def end(self, number: int = signal.SIGTERM, seconds: float = 120) -> int:
        """Send a signal, and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(seconds)
        self._reader.join(seconds)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if match := re.search(self._said, line):
                self.address = match[1]
                self._seen.set()
        self._seen.set()


def model_server(home: Path, port: int) -> Running:
    """`segue serve` on a port."""
    return Running(home, ["serve", f"--port={port}"], r"serving at (\S+)")


def gateway(home: Path, server: str, *more: str, port: int = 0) -> Running:
    """`segue gateway` on a port, or on a free one, with the models of a server."""
    return Running(home, ["gateway", f"--port={port}", "--server", server, *more], r"gateway at (http://[^,\s]+)")

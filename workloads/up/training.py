"""A training that a person starts from the operator's page: `segue run training`, as long as `segue up` runs."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from segue.errors import UnavailableError
from segue.settings import Home
from workloads.up.processes import start, stop


class Training:
    """At most one run at a time.

    Args:
        home: whose log is trained on; what the command prints goes to `up/training.log` there.
    """

    def __init__(self, home: Home) -> None:
        self._log = home.root / "up" / "training.log"
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None

    def start(self, why: str) -> None:
        """Start `segue run training`. Call it from a thread that lives as long as the run: the run ends with it.

        Raises:
            UnavailableError: the run that was started before has not ended.
        """
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                raise UnavailableError(
                    "One run at a time works in a home. The run that was started here is still at work.",
                    "Wait for its end, or end it: `segue runs stop`.",
                )
            self._log.unlink(missing_ok=True)
            self._process = start(["segue", "run", "training", f"--reason={why}"], self._log)

    def state(self) -> dict[str, Any] | None:
        """Whether the run that was started last is `running`, its `exit_code`, and what it `said` last; or None."""
        if self._process is None:
            return None
        code = self._process.poll()
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return {"running": code is None, "exit_code": code, "said": next(filter(str.strip, reversed(lines)), "")}

    def stop(self) -> None:
        """End the run, if there is one."""
        if self._process:
            stop(self._process)


@contextmanager
def training(home: Home) -> Iterator[Training]:
    """Trainings while the body runs."""
    runs = Training(home)
    try:
        yield runs
    finally:
        runs.stop()

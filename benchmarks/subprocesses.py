"""Run a step of a benchmark in a process of its own, so that its memory and its libraries stay apart."""

import os
import subprocess
import sys
from pathlib import Path

from segue.errors import SegueError

# TensorFlow Recommenders is written for Keras 2.
ENVIRONMENT = {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def run_module(
    module: str, *arguments: object, cwd: Path | None = None, timeout: float | None = None, quiet: bool = False
) -> None:
    """Run `python -m MODULE ARGUMENTS` and wait for its end.

    Args:
        module: dotted name of the module.
        arguments: passed on as strings.
        cwd: the process's working folder; None keeps this process's.
        timeout: seconds until the process is killed; None waits for ever.
        quiet: hold back the output and show its end only if the process fails. Otherwise the output goes to stderr.

    Raises:
        SegueError: the process failed.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, *map(str, arguments)],
        env={**os.environ, **ENVIRONMENT},
        cwd=cwd,
        timeout=timeout,
        stdout=subprocess.PIPE if quiet else 2,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        errors="replace",
    )
    if done.returncode:
        fix = f"Its output ended with:\n{done.stdout[-2000:]}" if quiet else "Its output above says why."
        raise SegueError(
            f"A benchmark's process must end with exit code 0. {module} ended with {done.returncode}.", fix
        )

"""A lock on a file, held by one process at a time. The kernel holds it, so it ends with a killed holder."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO

from segue.errors import UnavailableError

WAIT_SECONDS = 3.0
POLL_SECONDS = 0.1


@contextlib.contextmanager
def locked(path: Path, purpose: str, since: datetime, wait_seconds: float = WAIT_SECONDS) -> Iterator[IO[str]]:
    """Hold a lock while the body runs.

    Args:
        path: the file to lock; it is made if it does not exist, and stays.
        purpose: what the holder does, for the error that others get.
        since: the time now, for the same error.
        wait_seconds: how long to wait for another holder.

    Yields:
        The open file. A child process that inherits it holds the lock too.

    Raises:
        UnavailableError: another process still holds the lock; the error says which, since when and what for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise UnavailableError(
                        f"One process at a time changes {path.parent}. {holder(file)}.",
                        "Run the command again when that process has ended, or end it.",
                    ) from None
                time.sleep(POLL_SECONDS)
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "since": f"{since:%Y-%m-%d %H:%M:%S} UTC", "purpose": purpose}))
        file.flush()
        yield file


@contextlib.contextmanager
def latched(target: Path) -> Iterator[None]:
    """Hold the lock of a file or folder while it is read or replaced as a whole; others wait for their turn."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{target.name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def holder(file: IO[str]) -> str:
    """Say who holds a lock, from the file's text."""
    file.seek(0)
    try:
        record = json.loads(file.read())
        return f"Process {record['pid']} has done so since {record['since']}: {record['purpose']}"
    except (ValueError, KeyError, TypeError):  # the holder has not written it yet
        return "Another process does so now"

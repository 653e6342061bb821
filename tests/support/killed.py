"""Ends a process at a step of its work: it opens, makes, renames or removes a file."""

import atexit
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

FILE_EVENTS = ("open", "os.", "shutil.", "fcntl.")
EXCHANGE = ("renameat2", "renamex_np")


def killed_at_each_step(function: Callable[[], object], every: int = 1) -> Iterator[int]:
    """Run a function in forked processes, and yield after each: the n-th ends by SIGKILL before the n-th step.

    The last process ends by itself.

    Args:
        function: the function.
        every: kill at every step that is a multiple of this number.
    """
    step, killed = 0, True
    while killed:
        step += every
        process = os.fork()
        if process == 0:
            status = 1
            try:
                at_step(step, lambda: os.kill(os.getpid(), signal.SIGKILL))
                function()
                status = 0
            finally:
                os._exit(status)
        _, ended = os.waitpid(process, 0)
        killed = os.WIFSIGNALED(ended)
        assert killed or ended == 0, "the function raised an error"
        yield step


def at_step(step: int, action: Callable[[], None], folder: str = "") -> None:
    """Call `action` before this process's n-th step on files under a folder; Python audits them."""
    left = step

    def count(event: str, arguments: tuple) -> None:
        nonlocal left
        left -= is_step(event, arguments, folder)
        if left == 0:
            left = -1
            action()

    sys.addaudithook(count)


def count_steps(folder: str, file: str) -> None:
    """Write to a file, when this process ends, how many steps on files under a folder it has made."""
    steps = 0

    def count(event: str, arguments: tuple) -> None:
        nonlocal steps
        steps += is_step(event, arguments, folder)

    sys.addaudithook(count)
    atexit.register(lambda: Path(file).write_text(str(steps)))


def is_step(event: str, arguments: tuple, folder: str) -> bool:
    """Whether an audited event is a step on a file under a folder."""
    if event == "ctypes.dlsym":
        return arguments[1] in EXCHANGE
    return event.startswith(FILE_EVENTS) and any(folder in str(argument) for argument in arguments[:2])

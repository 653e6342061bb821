"""Kills a function at each of its steps, to see what it leaves."""

import os
import signal
import sys
from collections.abc import Callable, Iterator

FILE_EVENTS = ("open", "os.", "shutil.", "fcntl.", "ctypes.dlsym")


def killed_at_each_step(function: Callable[[], object], every: int = 1) -> Iterator[int]:
    """Run a function in forked processes, and yield after each: the n-th ends by SIGKILL before the n-th step.

    A step is opening, making, renaming or removing a file or a folder, as Python audits it. The last process ends by
    itself.

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
                die_before(step)
                function()
                status = 0
            finally:
                os._exit(status)
        _, ended = os.waitpid(process, 0)
        killed = os.WIFSIGNALED(ended)
        assert killed or ended == 0, "the function raised an error"
        yield step


def die_before(step: int) -> None:
    """Let this process be killed before its n-th audited event."""
    left = step

    def count(event: str, _) -> None:
        nonlocal left
        left -= event.startswith(FILE_EVENTS)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)

"""A command that goes on: round after round, until a signal ends it."""

import time
from collections.abc import Callable

from segue.os_errors import explained
from segue.terminal import say


def rounds(once: Callable[[], None], every: float | None) -> None:
    """Call a function once; with `every`, again and again, with so many seconds between two calls.

    A round that fails says why, for example that the disk is full, and the next one may find the fault mended.
    """
    if every is None:
        return once()
    while True:
        try:
            once()
        except Exception as caught:
            error = explained(caught)
            if error is None:
                raise
            say(f"{error.headline} {error.fix}", err=True, fg="red")
        time.sleep(every)

"""Progress of a long step: lines that the run's log keeps and that the command line shows while the step runs."""

import time
from collections.abc import Callable

MARK = "progress: "  # begins such a line in a log
SECONDS = 10.0  # between two lines, so that nobody waits 15 s for a sign of life


class Progress:
    """Prints a line about a long task every `seconds`; lines in between are dropped.

    Args:
        clock: seconds that only grow.
        seconds: between two lines.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, seconds: float = SECONDS) -> None:
        self.clock, self.seconds = clock, seconds
        self.last = clock()

    def __call__(self, text: str) -> None:
        """Print the text, for example `epoch 3 of 8, loss 0.412, 20 s left`, if the last line is old enough."""
        if self.clock() - self.last >= self.seconds:
            self.last = self.clock()
            say(text)


def say(text: str) -> None:
    """Print one line of progress at once."""
    print(f"{MARK}{text}", flush=True)

"""Progress of a long step: lines in the run's log, which the command line shows while the step runs."""

import time
from collections.abc import Callable

MARK = "progress: "  # the prefix of a line of progress in a log
EVERY = 10.0  # seconds between two lines, so that no silence lasts 15 s


def say(text: str) -> None:
    """Print one line of progress at once."""
    print(f"{MARK}{text}", flush=True)


class Progress:
    """Prints the progress of a long task, at most once in `EVERY` seconds.

    Args:
        clock: a monotonic clock, in seconds.
        say: the function that prints a line.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, say: Callable[[str], None] = say) -> None:
        self.clock = clock
        self.say = say
        self.started = self.last = clock()

    def __call__(self, line: Callable[[], str]) -> None:
        """Print a line if `EVERY` seconds have passed since the last line; only then is `line` called."""
        if self.clock() - self.last >= EVERY:
            self.now(line())

    def now(self, line: str) -> None:
        """Print a line at once."""
        self.say(line)
        self.last = self.clock()

    def passed(self) -> float:
        """Return the seconds since the task began."""
        return self.clock() - self.started


def duration(seconds: float) -> str:
    """Format seconds in a suitable unit: `45 s`, `12 min`, `3.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

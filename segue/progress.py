"""Progress of a long step: lines that the run's log keeps and that the command line shows while the step runs."""

import time
from collections.abc import Callable

MARK = "progress: "  # begins such a line in a log
EVERY = 10.0  # seconds between two lines, so that nobody waits 15 s for a sign of life


def say(text: str) -> None:
    """Print one line of progress at once."""
    print(f"{MARK}{text}", flush=True)


class Progress:
    """Says how far a long task has come, at most once in `EVERY` seconds.

    Args:
        clock: seconds that only grow.
        say: prints a line.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, say: Callable[[str], None] = say) -> None:
        self.clock = clock
        self.say = say
        self.started = self.last = clock()

    def __call__(self, line: Callable[[], str]) -> None:
        """Say a line if the last one is old enough; the text is made only then."""
        if self.clock() - self.last >= EVERY:
            self.now(line())

    def now(self, line: str) -> None:
        """Say a line at once."""
        self.say(line)
        self.last = self.clock()

    def passed(self) -> float:
        """Seconds since the task began."""
        return self.clock() - self.started


def duration(seconds: float) -> str:
    """Seconds as people write them: `45 s`, `12 min`, `3.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

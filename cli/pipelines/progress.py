"""Shows the progress of a pipeline run: as a bar on a terminal, as plain lines elsewhere."""

import sys
from collections.abc import Sequence

from segue.terminal import say, visible


class Steps:
    """Shows the steps of a pipeline as they start and end.

    Args:
        names: the steps of a full run; a run that a gate stops has fewer.
        quiet: print lines to stderr, so that stdout holds only the JSON of `--json`.
    """

    def __init__(self, names: Sequence[str], quiet: bool = False) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self.bar = None
        if sys.stderr.isatty():
            columns = (
                TextColumn("{task.description:<16}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
            )
            self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self.task = self.bar.add_task("starting", total=len(names))
        self.quiet = quiet
        self.step = "starting"

    def __enter__(self) -> "Steps":
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *_) -> None:
        if self.bar:
            self.bar.stop()

    def say(self, text: str) -> None:
        """Show a line of progress of the running step."""
        if self.bar:
            self.bar.update(self.task, description=visible(f"{self.step}: {text}"))
        else:
            say(f"{self.step:<16} {text}", err=self.quiet)

    def update(self, record: dict) -> None:
        """Show a step's record: `step`, `status` (`running`, `done`, `failed`), `seconds` once it ended."""
        step, status = record["step"], record["status"]
        if status == "running":
            self.step = step
            if self.bar:
                self.bar.update(self.task, description=step)
            return
        self.step = "next step"
        line = f"{step:<16} {status} in {record['seconds']:.1f} s"
        if self.bar:
            self.bar.advance(self.task)
            self.bar.console.print(visible(line), markup=False, emoji=False, highlight=False)
        else:
            say(line, err=self.quiet)

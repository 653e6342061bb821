"""What the loop does after a simulated day, written down as it happens."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segue.files import read_json, write_json

Action = dict[str, Any]  # its `kind`, such as `pushed`, the `reason`, and what else it has
ENDS = ("pushed", "refused")  # of a training


@dataclass
class Actions:
    """The actions of one day. A simulation that is killed goes on after those that are written.

    Args:
        file: Where they are written; that of another day is replaced.
        day: The number of the day, from 1.
        say: Prints a line about each.
        done: The actions so far, in order.
    """

    file: Path
    day: int
    say: Callable[[Action], None]
    done: list[Action] = field(default_factory=list)

    def __post_init__(self) -> None:
        written = read_json(self.file) if self.file.is_file() else {}
        if written.get("day") == self.day:
            self.done = written["done"]

    def add(self, *actions: Action) -> None:
        """Write actions down, but those that are written already: a step that is done again says the same."""
        for action in actions:
            if action not in self.done:
                self.done.append(action)
                write_json(self.file, {"day": self.day, "done": self.done})
                self.say(action)

    @property
    def kinds(self) -> list[str]:
        """The kinds of the actions so far."""
        return [action["kind"] for action in self.done]

    @property
    def training_is_due(self) -> bool:
        """Whether a training was decided, and how it ended is not written yet."""
        decided = [kind for kind in self.kinds if kind in ("retrain", *ENDS)]
        return decided[-1:] == ["retrain"]

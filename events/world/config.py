"""How large the world is, what changes in it, and which random stream each part draws from."""

from dataclasses import dataclass
from datetime import date
from enum import IntEnum

import numpy as np

from segue.errors import InputError

FIRST_DAY = date(2026, 1, 5)  # a Monday; days and weeks of a world count from it
WEEK = 7

DRIFTS = ("genre", "catalogue", "outage", "behaviour")


@dataclass(frozen=True)
class WorldConfig:
    """The size of a world and its planted drift.

    Args:
        name: goes into the data set's name.
        users, items: how many; a catalogue drift adds items.
        days: length of the log.
        sessions: expected sessions a listener and day.
        drift: one of `DRIFTS`, or None.
        drift_day: the first day that differs, counted from `FIRST_DAY`.

    Raises:
        InputError: an unknown drift, or a drift day outside the log.
    """

    name: str
    users: int
    items: int
    days: int
    sessions: float
    drift: str | None = None
    drift_day: int | None = None

    def __post_init__(self) -> None:
        if self.drift is None and self.drift_day is None:
            return
        if self.drift not in DRIFTS:
            raise InputError(f"Drift is one of {', '.join(DRIFTS)}. Received {self.drift!r}.", "Choose one.")
        if self.drift_day is None or not 0 < self.drift_day < self.days:
            raise InputError(
                f"The drift day lies in 1 .. {self.days - 1}. Received {self.drift_day}.",
                "Set it with `--drift-day N`, in days from the first.",
            )

    def drifts(self, kind: str, day: int) -> bool:
        """Whether the drift `kind` is in force on `day`."""
        return self.drift == kind and self.drift_day is not None and day >= self.drift_day


class Stream(IntEnum):
    """Who draws. A stream each, so that a change in one part leaves the others as they were."""

    CATALOGUE = 0
    LISTENERS = 1
    WEEK = 2
    DAY = 3
    DRIFT = 4


def generator(seed: int, stream: Stream, step: int = 0) -> np.random.Generator:
    """The random numbers of one part (and week or day) of the world."""
    return np.random.default_rng([seed, stream, step])

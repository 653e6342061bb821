"""The configuration of a world: its size, its planted drift, and the random stream of each part."""

from dataclasses import dataclass
from datetime import date
from enum import IntEnum

import numpy as np

from segue.errors import InputError

FIRST_DAY = date(2026, 1, 5)  # a Monday; the days and weeks of a world are counted from it
WEEK = 7

DRIFTS = ("genre", "catalogue", "outage", "behaviour")


@dataclass(frozen=True)
class WorldConfig:
    """The size of a world and its planted drift.

    Args:
        name: Name of the world; the data set is called `synthetic-<name>`.
        users: Number of listeners.
        items: Number of items. A catalogue drift adds further items.
        days: Length of the log in days.
        sessions: Expected number of sessions of a listener on a weekday.
        drift: One of `DRIFTS`, or None.
        drift_day: First day of the drift, counted from 0 (`FIRST_DAY`).

    Raises:
        InputError: The drift is unknown, or the drift day is outside the log.
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
            raise InputError(
                f"Drift is one of {', '.join(DRIFTS)}. Received {self.drift!r}.", "Choose one of these drifts."
            )
        if self.drift_day is None or not 0 < self.drift_day < self.days:
            raise InputError(
                f"The drift day lies in 1 .. {self.days - 1}. Received {self.drift_day}.",
                "Set it with `--drift-day N`; the first day of the log is day 0.",
            )

    def drifts(self, drift: str, day: int) -> bool:
        """Return whether `drift` is planted in this world and has begun by `day`."""
        return self.drift == drift and self.drift_day is not None and day >= self.drift_day


class Stream(IntEnum):
    """The parts of the world that draw random numbers.

    Each part has its own stream, so a change in one part does not change the draws of the others.
    """

    CATALOGUE = 0
    LISTENERS = 1
    WEEK = 2
    DAY = 3
    DRIFT = 4


def generator(seed: int, stream: Stream, step: int = 0) -> np.random.Generator:
    """Return the random generator of one part of the world, and of one week or day where the part has several."""
    return np.random.default_rng([seed, stream, step])

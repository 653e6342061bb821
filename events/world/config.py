"""The configuration of a world: its size, its planted drift, and the random stream of each part."""

from dataclasses import dataclass
from datetime import date
from enum import IntEnum

import numpy as np

from segue.errors import InputError

FIRST_DAY = date(2026, 1, 5)  # a Monday; the days and weeks of a world are counted from it
WEEK = 7
VERSIONS = (1, 2)
FUTURE_DAYS = 28  # a world of version 2 goes on so many days after its log unless told otherwise, for `segue simulate`

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
        version: 1 is the first world, whose bytes never change; 2 has the listeners of `events.world.live`.
        future_days: Days after the log, in version 2. Releases and sign-ups are spread over the log and these days, so
            worlds of other futures have other logs.

    Raises:
        InputError: The version or the drift is unknown, the future is empty or no part of the version, or the drift day
            is outside the world.
    """

    name: str
    users: int
    items: int
    days: int
    sessions: float
    drift: str | None = None
    drift_day: int | None = None
    version: int = 1
    future_days: int = FUTURE_DAYS

    def __post_init__(self) -> None:
        if self.version not in VERSIONS:
            raise InputError(
                f"The version of a world is one of {', '.join(map(str, VERSIONS))}. Received {self.version}.",
                "Choose one of these versions.",
            )
        if self.future_days < 1 or (self.version == 1 and self.future_days != FUTURE_DAYS):
            raise InputError(
                f"A world of version 2 goes on for 1 day or more after its log; one of version 1 does not go on. "
                f"Received {self.future_days} days for version {self.version}.",
                "Give `--future` a positive number, with `--world 2`.",
            )
        if self.drift is None and self.drift_day is None:
            return
        if self.drift not in DRIFTS:
            raise InputError(
                f"Drift is one of {', '.join(DRIFTS)}. Received {self.drift!r}.", "Choose one of these drifts."
            )
        if self.drift_day is None or not 0 < self.drift_day < self.horizon:
            raise InputError(
                f"The drift day lies in 1 .. {self.horizon - 1}. Received {self.drift_day}.",
                "Set it with `--drift-day N`; the first day of the log is day 0.",
            )

    @property
    def horizon(self) -> int:
        """How many days the world has: those of its log, and in version 2 the days that can be simulated after it."""
        return self.days + (self.future_days if self.version > 1 else 0)

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
    TRAITS = 5
    SESSIONS = 6
    REQUEST = 7
    TITLES = 8
    SEARCH = 9


def generator(seed: int, stream: Stream, step: int = 0) -> np.random.Generator:
    """Return the random generator of one part of the world, and of one week or day where the part has several."""
    return np.random.default_rng([seed, stream, step])

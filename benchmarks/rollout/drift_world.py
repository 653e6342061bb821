"""Worlds with a planted change, as the checks see them: sums of each day, without models.

The listeners are those of the synthetic world, whose logging policy follows their tastes; no model ranks anything.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa

from events.importers.synthetic import SIZES, generate
from events.world.config import FIRST_DAY
from monitoring.checks.arrivals import freshness, growth
from monitoring.checks.measures import Levels
from monitoring.checks.sums import Sums, daily
from monitoring.checks.verdicts import verdicts
from monitoring.report import Report
from monitoring.watch import report
from monitoring.windows import BASE_DAYS, CALIBRATION_DAYS, DAY, MATURITY, Windows, rows

SITE = "demo"  # of 600 listeners and 1,500 items
BEFORE = BASE_DAYS + CALIBRATION_DAYS  # days before the first window
START = datetime.combine(FIRST_DAY, datetime.min.time(), UTC)


@dataclass(frozen=True)
class Site:
    """A log and its sums.

    Args:
        items, events: The tables of the data contract.
        frame: `monitoring.windows.rows` of all days.
        sums: The sums of all days.
    """

    items: pa.Table
    events: pa.Table
    frame: pd.DataFrame
    sums: Sums

    @classmethod
    def generate(cls, windows: int, drift: str | None, drift_window: int, seed: int) -> "Site":
        """Generate a log for some windows.

        Args:
            windows: Number of current windows, after the days that the first is compared with.
            drift: The planted change, or None.
            drift_window: The window from which on it is planted, from 0.
            seed: Seed of the world and the bootstrap.
        """
        days = BEFORE + windows
        drift_day = BEFORE + drift_window if drift else None
        world = generate(replace(SIZES[SITE], days=days, drift=drift, drift_day=drift_day), seed)
        frame = rows(world.events, world.items, Windows(START + days * DAY, days))
        return cls(
            world.items,
            world.events,
            frame,
            daily(frame, Levels.of(frame[frame["day"] < BEFORE], world.items), days, seed),
        )

    def windows(self, number: int) -> Windows:
        """The windows whose current one has a number, from 0."""
        return Windows(START + (BEFORE + number + 1) * DAY, BEFORE + 1)

    def at(self, number: int) -> datetime:
        """When a window is mature, UTC."""
        return self.windows(number).end + MATURITY

    def report(self, number: int) -> Report:
        """The report of a window, as `monitoring.watch.checked` makes it of the days until then."""
        windows = self.windows(number)
        sums = self.sums.of(slice(number, number + windows.days))
        arrived = self.events.filter(pa.compute.less(self.events["ts"], pa.scalar(self.at(number))))
        return report(
            windows, (freshness(arrived, windows, self.at(number)), *verdicts(sums), growth(self.items, windows))
        )

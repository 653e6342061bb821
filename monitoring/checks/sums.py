"""The sums of every day, and what they would be with other listeners of the same kind."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from monitoring.checks.measure import Measure
from monitoring.checks.measures import Levels, measures

REPLICATES = 200


@dataclass(frozen=True)
class Sums:
    """Numerators and denominators of all measures on consecutive days.

    Args:
        names: Check and level of each measure.
        totals: `[days, measures, 2]`.
        replicates: The same with listeners drawn again `[replicates, days, measures, 2]`.
    """

    names: list[tuple[str, str]]
    totals: np.ndarray
    replicates: np.ndarray

    def of(self, days: slice) -> "Sums":
        """The sums of some days."""
        return Sums(self.names, self.totals[days], self.replicates[:, days])

    def without(self, days: np.ndarray) -> "Sums":
        """The sums as if there had been no rows on the days where a mask is true `[days]`."""
        kept = ~days[:, None, None]
        return Sums(self.names, self.totals * kept, self.replicates * kept)


def daily(rows: pd.DataFrame, levels: Levels, days: int, seed: int) -> Sums:
    """Sum the rows of each day, and draw the listeners again.

    A replicate gives each listener a Poisson weight of mean 1, the same on all days: the bootstrap of whole listeners
    (Chamandy, Muralidharan, Najmi and Naidu 2012, "Estimating Uncertainty for Massive Data Streams").

    Args:
        rows: `monitoring.windows.rows`.
        levels: The levels of the measures.
        days: Number of days.
        seed: Seed of the weights.
    """
    listeners = int(rows["listener"].max()) + 1 if len(rows) else 0
    weights = np.random.default_rng(seed).poisson(1, (REPLICATES, listeners)).astype(np.float32)
    bounds = np.searchsorted(rows["day"].to_numpy(), np.arange(days + 1))
    totals, replicates = [], []
    for begin, end in pairwise(bounds):
        day = rows.iloc[begin:end]
        measured = list(measures(day, levels))
        by_row = np.stack([column for each in measured for column in columns(each)], axis=1, dtype=np.float32)
        drawn, starts = np.unique(day["listener"].to_numpy(), return_index=True)
        by_listener = np.add.reduceat(by_row, starts) if len(day) else by_row  # [listeners, 2 measures]
        totals.append(by_listener.sum(axis=0))
        replicates.append(weights[:, drawn] @ by_listener)
    names = [(each.check, each.level) for each in measured]
    shape = (days, len(names), 2)
    sums = Sums(names, np.reshape(totals, shape), np.stack(replicates, axis=1).reshape(REPLICATES, *shape))
    daily_counts = [each.denominator is None for each in measured]
    sums.totals[:, daily_counts, 1] = sums.replicates[:, :, daily_counts, 1] = 1
    return sums


def columns(measure: Measure) -> tuple[np.ndarray, np.ndarray]:
    """Return the numerator and the denominator of rows, of which a number a day has none."""
    none = np.zeros(len(measure.numerator))
    return measure.numerator, none if measure.denominator is None else measure.denominator

"""How much a measure changed on the last day, and the limit that quiet days give to such a change.

A day is compared with the `BASE_DAYS` before it. The limit has three factors:

- the noise of the measure: its standard deviation if other listeners of the same kind had come, by the bootstrap;
- the wander of the measure: how much more than this noise the days of the reference changed, each compared with its own
  base. Weekdays, tastes that change slowly and weekly releases are in it;
- a critical value that all measures share: the largest of all changes, in units of noise, stays below it on
  `1 - FALSE_ALARMS` of the days that the bootstrap draws (the single-step maxT of Westfall and Young 1993).

So a quiet window has a false alarm, of any check at all, with the probability `FALSE_ALARMS`.
"""

from dataclasses import dataclass

import numpy as np

from monitoring.checks.sums import Sums
from monitoring.windows import BASE_DAYS, LEAST_CALIBRATION

FALSE_ALARMS = 0.01  # of a quiet window, over all checks together
LEAST_EVENTS = 10  # a measure of fewer events a day is not judged, and a change of fewer is none
MEDIAN_CHI2 = 0.4549  # of one degree of freedom: the median of the square of a standard normal number


@dataclass(frozen=True)
class Changes:
    """The measures on each day beside their bases.

    Args:
        names: Check and level of each measure.
        before, now: The ratio in the base and on the day `[days, measures]`.
        limit: The largest change that is usual, in the unit of the ratio `[days, measures]`.
        enough: Whether a measure has enough events to be judged `[measures]`.
    """

    names: list[tuple[str, str]]
    before: np.ndarray
    now: np.ndarray
    limit: np.ndarray
    enough: np.ndarray


def changes(sums: Sums, rare: frozenset[str]) -> Changes:
    """Compare each day with its base.

    Args:
        sums: Sums of the days. All but the last are the reference, which gives the limits.
        rare: Checks whose numerators are few on a usual day, such as nulls; they need a denominator of enough events.
    """
    totals = sums.totals.astype(np.float64)
    weight = totals[..., 1]
    base_days = min(BASE_DAYS, len(totals) - 1 - LEAST_CALIBRATION)
    base = np.stack([totals[max(n - base_days, 0) : n].sum(axis=0) for n in range(len(totals))])
    with np.errstate(divide="ignore", invalid="ignore"):
        now, before = ratio(totals), ratio(base)
        drawn = np.abs(ratio(sums.replicates[:, :-1]) - now[:-1])  # [replicates, days - 1, measures]
        unit = np.nan_to_num(mean_of_finite(np.square(drawn).mean(axis=0) * weight[:-1]))  # variance of one event
        sd = np.sqrt(unit / weight + unit / base[..., 1])
        squares = np.square((now - before) / sd)[base_days:-1]
        wander = np.sqrt(np.maximum(median_of_finite(squares) / MEDIAN_CHI2, 1))
        scores = drawn / np.sqrt(unit / weight[:-1])
    with_rows = weight[:-1].any(axis=1)
    usual = totals[:-1].sum(axis=0) / max(with_rows.sum(), 1)  # of a day with rows [measures, 2]
    frequent = usual[:, 0] >= LEAST_EVENTS
    largest = np.where(np.isfinite(scores) & frequent, scores, 0)[:, with_rows].max(axis=-1)
    critical = np.quantile(largest, 1 - FALSE_ALARMS) if with_rows.any() else np.inf
    with np.errstate(divide="ignore"):
        limit = np.maximum(critical * wander * np.nan_to_num(sd, posinf=0), LEAST_EVENTS / weight)
    enough = np.where([check in rare for check, _ in sums.names], usual[:, 1], usual[:, 0]) >= LEAST_EVENTS
    return Changes(sums.names, before, now, limit, enough)


def ratio(sums: np.ndarray) -> np.ndarray:
    """Return numerators over denominators `[...]` of sums `[..., 2]`; NaN where there is no denominator."""
    return np.divide(sums[..., 0], sums[..., 1], out=np.full(sums.shape[:-1], np.nan), where=sums[..., 1] != 0)


def mean_of_finite(values: np.ndarray) -> np.ndarray:
    """Return the mean over the first axis of what is finite; NaN where nothing is."""
    finite = np.isfinite(values)
    return np.where(finite, values, 0).sum(axis=0) / finite.sum(axis=0)


def median_of_finite(values: np.ndarray) -> np.ndarray:
    """Return the median over the first axis of what is finite; 0 where nothing is."""
    return np.ma.median(np.ma.masked_invalid(values), axis=0).filled(0)

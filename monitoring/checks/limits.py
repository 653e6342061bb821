"""How much a measure changed, and the limit that quiet days give to such a change.

The last day, and the last three days together, are compared with the `BASE_DAYS` before them: a day finds a large
change at once, three days find one that a small site's day cannot tell from chance. The limit has three factors:

- the noise of the measure: its standard deviation if other listeners of the same kind had come, by the bootstrap;
- the wander of the measure: how much more than this noise the days of the reference changed, each compared with its own
  base. Weekdays, tastes that change slowly and weekly releases are in it. Levels of one check wander at least as far as
  their median;
- a critical value. A measure has a rare change of its own, the `1 - FALSE_ALARMS` quantile of those that the bootstrap
  draws: that of a lumpy measure, such as the feedback of few listeners, is large, and hardly widens other limits. The
  largest of all changes, as parts of their rare ones, stays below one factor on `1 - FALSE_ALARMS` of the drawn days
  (the single-step adjustment of Westfall and Young 1993, over all measures and both spans).

So a quiet window has a false alarm, of any check at all, with a probability of at most `FALSE_ALARMS`, as far as the
bootstrap knows: for measures of `LEAST_EVENTS` a day, and days that wander no further than those of the reference.
"""

from dataclasses import dataclass

import numpy as np

from monitoring.checks.sums import Sums
from monitoring.windows import BASE_DAYS, LEAST_CALIBRATION

SPANS = (1, 3)  # days that are compared together
FALSE_ALARMS = 0.01  # of a quiet window, over all checks and spans together
LEAST_EVENTS = 10  # a measure of fewer events a day is not judged, and a change of fewer is none
MEDIAN_CHI2 = 0.4549  # of one degree of freedom: the median of the square of a standard normal number


@dataclass(frozen=True)
class Changes:
    """The measures beside their bases, in spans that end with each day.

    Args:
        names: Check and level of each measure.
        before, now: The ratio in the base and in the span `[spans, days, measures]`.
        limit: The largest change that is usual, in the unit of the ratio `[spans, days, measures]`.
        enough: Whether a measure has enough events to be judged `[measures]`.
    """

    names: list[tuple[str, str]]
    before: np.ndarray
    now: np.ndarray
    limit: np.ndarray
    enough: np.ndarray


def changes(sums: Sums, rare: frozenset[str], signed: frozenset[str]) -> Changes:
    """Compare the spans that end with each day with their bases.

    Args:
        sums: Sums of the days. All but the last are the reference, which gives the limits.
        rare: Checks whose numerators are few on a usual day, such as nulls; they need a denominator of enough events.
        signed: Checks whose numerators are sums of values that may be negative; their events are in the denominators.
    """
    totals = sums.totals.astype(np.float64)
    with_rows = totals[:-1, :, 1].any(axis=1)
    usual = totals[:-1].sum(axis=0) / max(with_rows.sum(), 1)  # of a day with rows [measures, 2]
    events = np.where([check in signed for check, _ in sums.names], usual[:, 1], usual[:, 0])
    frequent = events >= LEAST_EVENTS
    spans = [span(sums, totals, days) for days in SPANS]
    drawn = [np.where(np.isfinite(each.drawn) & frequent, each.drawn, 0)[:, with_rows] for each in spans]
    largest = np.maximum.reduce([each.max(axis=-1) for each in drawn])  # [replicates, days]
    critical = np.quantile(largest, 1 - FALSE_ALARMS) if with_rows.any() else np.inf
    with np.errstate(divide="ignore"):
        limits = [np.maximum(critical * each.rare_change, LEAST_EVENTS / each.weight) for each in spans]
    return Changes(
        sums.names,
        np.stack([each.before for each in spans]),
        np.stack([each.now for each in spans]),
        np.stack(limits),
        np.where([check in rare for check, _ in sums.names], usual[:, 1], events) >= LEAST_EVENTS,
    )


@dataclass(frozen=True)
class Span:
    """The measures in spans of some days. The first days of the log have shorter spans and bases.

    Args:
        before, now: As in `Changes` `[days, measures]`.
        weight: The denominator in the span `[days, measures]`.
        rare_change: The change that a quiet span exceeds with the probability `FALSE_ALARMS` `[days, measures]`.
        drawn: The changes that the bootstrap draws, as parts of that one `[replicates, days - 1, measures]`.
    """

    before: np.ndarray
    now: np.ndarray
    weight: np.ndarray
    rare_change: np.ndarray
    drawn: np.ndarray


def span(sums: Sums, totals: np.ndarray, days: int) -> Span:
    """Return the measures in spans of some days; `totals` are those of the sums as float64 `[days, measures, 2]`."""
    base_days = min(BASE_DAYS, len(totals) - 1 - LEAST_CALIBRATION)
    now_sums = windowed(totals, days)
    base_sums = windowed(totals, base_days + days) - now_sums
    weight, base = now_sums[..., 1], base_sums[..., 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        now, before = ratio(now_sums), ratio(base_sums)
        drawn = np.abs(ratio(windowed(sums.replicates.swapaxes(0, 1), days).swapaxes(0, 1)[:, :-1]) - now[:-1])
        unit = np.nan_to_num(mean_of_finite(np.square(drawn).mean(axis=0) * weight[:-1]))  # variance of one event
        sd = np.sqrt(unit / weight + unit / base)
        squares = np.square((now - before) / sd)[base_days + days - 1 : -1]
        wander = np.sqrt(np.maximum(median_of_finite(squares) / MEDIAN_CHI2, 1))
        check = np.unique([check for check, _ in sums.names], return_inverse=True)[1]
        for one in range(check.max() + 1):  # a few dozen days tell the wander of all levels better than that of one
            wander[check == one] = np.maximum(wander[check == one], np.median(wander[check == one]))
        scores = drawn / np.sqrt(unit / weight[:-1])
        quantile = rare_of_finite(scores)
        return Span(before, now, weight, quantile * wander * np.nan_to_num(sd, posinf=0), scores / quantile)


def windowed(daily: np.ndarray, days: int) -> np.ndarray:
    """Return the sums over some days that end with each day, fewer at the begin `[days, ...]`."""
    total = np.cumsum(daily, axis=0, dtype=np.float64)
    total[days:] -= total[:-days].copy()
    return total


def ratio(sums: np.ndarray) -> np.ndarray:
    """Return numerators over denominators `[...]` of sums `[..., 2]`; NaN where there is no denominator."""
    return np.divide(sums[..., 0], sums[..., 1], out=np.full(sums.shape[:-1], np.nan), where=sums[..., 1] != 0)


def mean_of_finite(values: np.ndarray) -> np.ndarray:
    """Return the mean over the first axis of what is finite; NaN where nothing is."""
    finite = np.isfinite(values)
    return np.where(finite, values, 0).sum(axis=0) / finite.sum(axis=0)


def rare_of_finite(scores: np.ndarray) -> np.ndarray:
    """Return the score of each measure that only `FALSE_ALARMS` of its drawn scores exceed `[measures]`.

    Args:
        scores: Drawn scores `[replicates, days, measures]`; only finite ones count. Without any it is 0.
    """
    flat = np.sort(np.where(np.isfinite(scores), scores, np.inf).reshape(-1, scores.shape[-1]), axis=0)
    rank = np.floor((1 - FALSE_ALARMS) * (np.isfinite(flat).sum(axis=0) - 1)).astype(int)
    return np.where(rank >= 0, np.take_along_axis(flat, np.maximum(rank, 0)[None], axis=0)[0], 0)


def median_of_finite(values: np.ndarray) -> np.ndarray:
    """Return the median over the first axis of what is finite; 0 where nothing is."""
    return np.ma.median(np.ma.masked_invalid(values), axis=0).filled(0)

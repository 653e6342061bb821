"""Switchback experiments: all listeners see one arm during a block of hours, for effects that cross listeners.

The block is the unit (Bojinov, Simchi-Levi and Zhao 2023, "Design and Analysis of Switchback Experiments"). The first
part of a block, in which the block before still has an effect, is left out. Blocks are few, so the interval is that of
Student's t with the degrees of freedom of Welch 1947 rather than of the normal distribution.
"""

import numpy as np
from scipy.stats import t

from experiments.statistics.effects import Effect, Sums, effect


def block_sums(
    numerator: np.ndarray, denominator: np.ndarray, seconds: np.ndarray, block_hours: int, burn_in_seconds: int
) -> tuple[np.ndarray, Sums]:
    """Return the numbers of the blocks, `[blocks]`, and the metric's sums in them.

    Args:
        numerator, denominator: One value for each row, `[rows]`.
        seconds: Time of the row since 1970 UTC, `[rows]`.
        block_hours: Length of a block.
        burn_in_seconds: Length of the part of each block that is left out.
    """
    length = 3600 * block_hours
    kept = seconds % length >= burn_in_seconds
    blocks, index = np.unique(seconds[kept] // length, return_inverse=True)
    totals = (np.bincount(index, weights=values[kept], minlength=len(blocks)) for values in (numerator, denominator))
    return blocks, Sums(*totals)


def block_effect(sums: Sums, treated: np.ndarray, alpha: float) -> tuple[Effect, float]:
    """Return the effect between blocks, and how many standard errors wide its interval is on both sides.

    Args:
        sums: The sums in the blocks.
        treated: Whether a block had the treatment, `[blocks]`; at least two of each.
        alpha: Risk that the interval misses the effect.
    """
    result = effect(sums.take(~treated), sums.take(treated))
    each = (result.control, result.treatment)
    squares = sum(one.variance**2 / (one.units - 1) for one in each)
    freedom = result.error**4 / squares if squares else len(treated) - 2
    return result, float(t.isf(alpha / 2, freedom))

"""Switchback experiments: all listeners see one arm during a block of hours, for effects that cross listeners.

The block is the unit (Bojinov, Simchi-Levi and Zhao 2023, "Design and Analysis of Switchback Experiments"); the sums
leave out the first part of each block, in which the block before still has an effect. Blocks are few, so bounds are
those of Student's t with the degrees of freedom of Welch 1947 rather than of the normal distribution.
"""

import math

from scipy.stats import norm, t

from experiments.statistics.effects import Effect


def student_bound(bound: float, effect: Effect) -> float:
    """Return the bound of Student's t that has the same chance beyond it as a bound of z.

    Args:
        bound: The bound of z; infinity stays.
        effect: The effect between blocks, at least two in each arm.
    """
    squares = sum(each.variance**2 / (each.units - 1) for each in (effect.control, effect.treatment))
    if not (math.isfinite(bound) and squares > 0):
        return bound
    return float(t.isf(norm.sf(bound), effect.error**4 / squares))

"""A ratio of sums over rows, which is what a check measures."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Measure:
    """A ratio.

    Args:
        check: The check that it belongs to.
        level: What it measures there, such as a genre; empty if the check has one measure.
        numerator: Of the rows of a day `[n]`.
        denominator: The same; None for one a day, so that the ratio is a number a day.
    """

    check: str
    level: str
    numerator: np.ndarray
    denominator: np.ndarray | None

"""The effect of an arm on a metric, from one row of sums for each unit.

A metric is the ratio of two means over units, such as plays by impressions. Rows of one listener depend on each other,
so the unit of analysis is the unit of assignment. The variance of a ratio of means is that of its linearization (the
delta method: Deng, Knoblich and Lu 2018, "Applying the Delta Method in Metric Analytics"), which equals the
cluster-robust variance over rows with the listeners as clusters.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

Array = np.ndarray


@dataclass(frozen=True)
class Sums:
    """The sums of a metric in one arm, one value for each unit; all arrays are `[n]`.

    Args:
        numerator: Sum of the numerator since the unit was first exposed.
        denominator: Sum of the denominator; ones give the mean for each unit.
        before_numerator, before_denominator: The same sums in the days before the experiment; None if there are none.
    """

    numerator: Array
    denominator: Array
    before_numerator: Array | None = None
    before_denominator: Array | None = None

    def __add__(self, other: "Sums") -> "Sums":
        """The units of both."""
        if self.before_numerator is None or self.before_denominator is None:
            before: tuple[Array | None, Array | None] = (None, None)
        else:
            assert other.before_numerator is not None
            assert other.before_denominator is not None
            before = (
                np.concatenate([self.before_numerator, other.before_numerator]),
                np.concatenate([self.before_denominator, other.before_denominator]),
            )
        return Sums(
            np.concatenate([self.numerator, other.numerator]),
            np.concatenate([self.denominator, other.denominator]),
            *before,
        )

    def take(self, units: Array) -> "Sums":
        """The units that a mask or positions choose."""
        before = (None if each is None else each[units] for each in (self.before_numerator, self.before_denominator))
        return Sums(self.numerator[units], self.denominator[units], *before)


@dataclass(frozen=True)
class Estimate:
    """A ratio of means in one arm: its value, the variance of the value, and the number of units."""

    value: float
    variance: float
    units: int


@dataclass(frozen=True)
class Effect:
    """The difference between two arms.

    Attributes:
        control, treatment: The estimates.
        difference: Treatment minus control.
        error: Standard error of the difference.
        lift: Treatment over control, minus 1; NaN unless both are positive.
        log_error: Standard error of the logarithm of treatment over control.
    """

    control: Estimate
    treatment: Estimate

    @property
    def difference(self) -> float:
        return self.treatment.value - self.control.value

    @property
    def error(self) -> float:
        return math.sqrt(self.treatment.variance + self.control.variance)

    @property
    def lift(self) -> float:
        if not (self.control.value > 0 and self.treatment.value > 0):
            return math.nan
        return self.treatment.value / self.control.value - 1

    @property
    def log_error(self) -> float:
        if math.isnan(self.lift):
            return math.nan
        each = (self.treatment, self.control)
        return math.sqrt(sum(estimate.variance / estimate.value**2 for estimate in each))

    @property
    def z(self) -> float:
        """The difference in standard errors; 0 where all units are alike.

        If each arm is constant and the arms differ, the error is that of all units together, as if none were treated:
        an arm whose pages all fail is found, and a few units that differ by chance are not.
        """
        if self.error > 0:
            return self.difference / self.error
        alike = math.isclose(self.treatment.value, self.control.value, rel_tol=1e-9)
        if alike or math.isnan(self.error):
            return 0.0
        return math.copysign(math.sqrt(self.control.units + self.treatment.units), self.difference)

    @property
    def p(self) -> float:
        """Two-sided p-value of no difference at a single look, by the normal distribution."""
        return float(2 * norm.sf(abs(self.z)))

    def interval(self, critical: float) -> tuple[float, float]:
        """The interval of the difference that is `critical` standard errors wide on both sides."""
        return self.difference - critical * self.error, self.difference + critical * self.error

    def lift_interval(self, critical: float) -> tuple[float, float]:
        """The interval of the lift, symmetric on the logarithm: it counts the control's variance, too."""
        half = math.exp(critical * self.log_error) if self.log_error * critical < 700 else math.inf
        return (1 + self.lift) / half - 1, (1 + self.lift) * half - 1


def linearized(numerator: Array, denominator: Array) -> Array:
    """Return each unit's influence on the ratio of means, `[n]`: its mean is 0. All zero if the denominator is."""
    mean = denominator.mean()
    if mean == 0:
        return np.zeros(len(numerator))
    return (numerator - numerator.mean() / mean * denominator) / mean


def ratio(numerator: Array, denominator: Array) -> float:
    """Return the ratio of means; 0 if the denominator is all zero, or there is no unit."""
    total = denominator.sum()
    return float(numerator.sum() / total) if total else 0.0


def estimate(sums: Sums) -> Estimate:
    """Return the ratio of means of an arm, with the delta method's variance."""
    units = len(sums.numerator)
    variance = linearized(sums.numerator, sums.denominator).var(ddof=1) / units if units > 1 else math.nan
    return Estimate(ratio(sums.numerator, sums.denominator), float(variance), units)


def effect(control: Sums, treatment: Sums) -> Effect:
    """Return the effect of a treatment, without the use of sums from before."""
    return Effect(estimate(control), estimate(treatment))

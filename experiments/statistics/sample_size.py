"""How many units an experiment needs, and how long it takes to see them.

For one metric and one look, each arm of n units has n = 2 (z_(1 - alpha/2) + z_power)^2 variance / difference^2 if both
arms are equal (Lachin 1981). Several looks need more by the factor (drift / (z_(1 - alpha/2) + z_power))^2, where
`drift` is the expected z with which the sequential bounds are crossed with the same power (Jennison and Turnbull 2000,
chapter 2).
"""

import math

from segue.errors import InputError


def units_for(difference: float, variances: tuple[float, float], shares: tuple[float, float], drift: float) -> int:
    """Return the units of the whole experiment with which the expected z of an effect is `drift`.

    Args:
        difference: The effect to find, in the metric's own unit.
        variances: Variances of one unit's influence on the metric in control and treatment, after CUPED.
        shares: Shares of control and treatment in the experiment.
        drift: Expected z; `sequential.drift_for` computes it.

    Raises:
        InputError: The metric does not vary, or the effect is 0.
    """
    if not (min(variances) > 0 and difference):
        raise InputError(
            f"A sample size needs a metric that varies, and an effect. Received variance {min(variances):.4g} and "
            f"effect {difference:.4g}.",
            "Plan with a log in which the metric happens, or with another metric.",
        )
    return math.ceil((drift / expected_z(difference, variances, shares, 1)) ** 2)


def expected_z(difference: float, variances: tuple[float, float], shares: tuple[float, float], units: int) -> float:
    """Return the expected z of an effect in an experiment of so many units."""
    each = sum(variance / share for variance, share in zip(variances, shares, strict=True))
    return difference / math.sqrt(each / units)


def days_for(units: int, arrivals: list[float]) -> int | None:
    """Return the days until so many units were seen.

    Args:
        units: The units wanted.
        arrivals: Units expected for the first time on each day of a log; with a small share, less than one.

    Returns:
        The days; beyond the log its last week goes on. None if nobody comes any more.
    """
    seen = 0.0
    for day, new in enumerate(arrivals, 1):
        seen += new
        if seen >= units:
            return day
    last = arrivals[-7:]
    daily = sum(last) / max(1, len(last))
    return len(arrivals) + math.ceil((units - seen) / daily) if daily else None

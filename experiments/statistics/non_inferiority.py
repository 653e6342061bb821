"""Non-inferiority: show that a guardrail is not worse than the control by more than a relative margin.

The statistic compares the treatment with the control times (1 - margin), so the control's own variance counts
(Spotify's platform tests guardrails so: Schultzberg, Ankargren and Frånberg 2024, "Risk-aware product decisions in A/B
tests with multiple metrics").
"""

import math

from experiments.statistics.effects import Effect


def z_above_margin(effect: Effect, margin: float, higher_is_better: bool) -> float:
    """Return z of the test whose null hypothesis is that the treatment is worse by at least the margin.

    Non-inferiority is shown where z is above the one-sided bound. z is 0 where the metric never happened in either arm:
    that shows nothing about a relative margin.

    Args:
        effect: The effect.
        margin: The accepted harm, relative to the control's value: 0.02 is 2 %.
        higher_is_better: The metric's direction.
    """
    factor = 1 - margin if higher_is_better else 1 + margin
    distance = effect.treatment.value - factor * effect.control.value
    error = math.sqrt(effect.treatment.variance + factor**2 * effect.control.variance)
    sign = 1 if higher_is_better else -1
    if error == 0:
        return math.copysign(math.inf, sign * distance) if distance else 0.0
    return sign * distance / error

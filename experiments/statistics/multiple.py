"""Several metrics in one decision: which test gets how much of the risks.

The rule ships if at least one success metric improves and all guardrails are non-inferior. A false success of any
metric ships, so alpha is divided over the success metrics and the arms. All guardrails must pass, so a shipping
decision needs no correction of their alpha; each failing one blocks, so the risk of missing is divided over all that
must be found (Schultzberg, Ankargren and Frånberg 2024, "Risk-aware product decisions in A/B tests with multiple
metrics").
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Risks:
    """The level of each test.

    Attributes:
        success: Two-sided alpha of a success metric in one arm.
        guardrail: One-sided alpha of a guardrail's non-inferiority.
        deterioration: One-sided alpha of a metric getting worse.
        power: Power that each test is planned with.
    """

    success: float
    guardrail: float
    deterioration: float
    power: float


def risks(alpha: float, power: float, success: int, guardrails: int, others: int, arms: int) -> Risks:
    """Return the level of each test.

    Args:
        alpha, power: Of the decision.
        success, guardrails, others: Numbers of metrics by role.
        arms: Number of arms beside the control.
    """
    return Risks(
        alpha / (success * arms),
        alpha,
        alpha / ((success + guardrails + others) * arms),
        1 - (1 - power) / (guardrails + 1),
    )


def holm(p_values: np.ndarray) -> np.ndarray:
    """Return p-values corrected for their number, in the given order (Holm 1979); for slices."""
    order = np.argsort(p_values)
    count = len(p_values)
    stepped = np.maximum.accumulate(p_values[order] * (count - np.arange(count)))
    corrected = np.empty(count)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected

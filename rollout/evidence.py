"""The evidence for a promotion: the candidate is not worse than the control by a margin.

Reward and skips are each tested for non-inferiority with group-sequential bounds; all must pass, so alpha is not
divided over them, and the risk of missing is. The information of a look is measured: it is the squared standard error
that the plan needs over the one that there is (Mehta and Tsiatis 2001, "Flexible Sample Size Considerations Using
Information-Based Interim Monitoring"). So neither the number of listeners nor how much they vary must be known before.
"""

import math
from collections.abc import Mapping
from functools import cache

import numpy as np
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from experiments.statistics import sequential
from experiments.statistics.cuped import adjusted_effect
from experiments.statistics.effects import Effect
from experiments.statistics.non_inferiority import z_above_margin
from rollout.looks import Look
from rollout.plan import METRICS, Metric, Plan

HIGHER_IS_BETTER = {"reward": True, "skips": False}
SPEND = sequential.obrien_fleming
STEP = 0.05  # share of the planned information that a look must add to the one before to be taken


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Evidence:
    """The evidence of one metric.

    Args:
        shares: Shares of the planned information at the looks so far, rising, at most 1.
        shown: Whether one of the looks showed the candidate to be within the margin.
    """

    shares: tuple[float, ...] = ()
    shown: bool = False

    @property
    def information(self) -> float:
        """The share of the planned information at the last look."""
        return self.shares[-1] if self.shares else 0.0

    @property
    def complete(self) -> bool:
        """Whether all planned information is there: a further look would not keep the risk."""
        return self.information >= 1


def gathered(plan: Plan, before: Mapping[Metric, Evidence], look: Look) -> dict[Metric, Evidence]:
    """Return the evidence by metric after a look. What was shown stays shown."""
    return {metric: after(plan, metric, before.get(metric, Evidence()), look) for metric in METRICS}


def after(plan: Plan, metric: Metric, before: Evidence, look: Look) -> Evidence:
    """Return the evidence of a metric after a look; unchanged if the look adds too little information."""
    effect = adjusted_effect(getattr(look.control, metric), getattr(look.candidate, metric))[0]
    share = min(1.0, information(plan, metric, effect))
    if before.complete or share < min(1.0, before.information + STEP):
        return before
    shares = (*before.shares, share)
    bound = sequential.bounds(shares, SPEND, plan.alpha)[-1]
    shown = z_above_margin(effect, plan.margins[metric], HIGHER_IS_BETTER[metric]) > bound
    return Evidence(shares, before.shown or bool(shown))


def information(plan: Plan, metric: Metric, effect: Effect) -> float:
    """Return the share of the planned information that an effect has; more than 1 beyond the plan.

    0 where a relative margin has no meaning: the control's value is not positive, or nothing varies.
    """
    control, margin = effect.control, plan.margins[metric]
    factor = 1 - margin if HIGHER_IS_BETTER[metric] else 1 + margin
    variance = effect.treatment.variance + factor**2 * control.variance
    if not (control.value > 0 and variance > 0):
        return 0.0
    return float((margin * control.value / drift(plan.alpha, plan.power)) ** 2 / variance)


@cache
def drift(alpha: float, power: float) -> float:
    """Return the expected z of an equal candidate with which each metric is shown within its margin often enough."""
    shares = np.arange(STEP, 1 + STEP / 2, STEP).clip(max=1.0)
    limits = sequential.bounds(shares, SPEND, alpha)
    each = 1 - (1 - power) / len(METRICS)
    result = sequential.drift_for(each, shares.tolist(), limits.tolist())
    assert math.isfinite(result)
    return result

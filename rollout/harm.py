"""Harm: a candidate that is worse than the control, at whichever look it shows.

All tests are always valid, so they may be looked at as often as one likes. Errors and slow requests are counted by
request: of all that failed, a share as large as the candidate's share of the requests is its own, and another one is
found by the Bayes factor of Lindon and Malek 2022. Reward and skips are compared by listener, because a listener's
requests depend on each other, by the confidence sequence of Waudby-Smith et al. 2021. The risk is divided over the
tests.
"""

import math

import numpy as np

from experiments.statistics import always_valid, sample_ratio
from experiments.statistics.cuped import adjusted_effect
from experiments.statistics.effects import Effect
from rollout.evidence import HIGHER_IS_BETTER, information
from rollout.looks import Look, Shadowed
from rollout.plan import METRICS, Metric, Plan

TESTS = 4  # errors, slow requests, reward, skips
PLANNED = 10_000  # the planned information in the units of `always_valid`, which takes a number of units
TUNED = 0.1  # share of the planned information at which a loss is found soonest: a loss of some three margins


def harmed(plan: Plan, look: Look) -> str | None:
    """Return the harm of a candidate in one sentence; None if there is none so far."""
    alpha = plan.harm_alpha / TESTS
    errors, slow = ((getattr(look.control, name), getattr(look.candidate, name)) for name in ("errors", "slow"))
    if reason := by_request(alpha, look.requests, errors, slow):
        return reason
    if min(look.control.listeners, look.candidate.listeners) < plan.least_listeners:
        return None
    for metric in METRICS:
        effect = adjusted_effect(getattr(look.control, metric), getattr(look.candidate, metric))[0]
        limit = bound(plan, metric, effect, alpha)
        if (effect.z if HIGHER_IS_BETTER[metric] else -effect.z) < -limit:
            return (
                f"{metric} got worse, from {effect.control.value:.3g} to {effect.treatment.value:.3g} in "
                f"{look.candidate.listeners:,} listeners: {abs(effect.z):.1f} standard errors, where chance reaches "
                f"{limit:.1f}."
            )
    return None


def harmed_shadow(plan: Plan, shadow: Shadowed) -> str | None:
    """Return the harm that a candidate would have done in the shadow; None if there is none so far."""
    requests = shadow.requests, shadow.requests
    return by_request(plan.harm_alpha / TESTS, requests, shadow.errors, shadow.slow)


def by_request(alpha: float, requests: tuple[int, int], errors: tuple[int, int], slow: tuple[int, int]) -> str | None:
    """Return the harm by errors or slow requests; each pair is that of the control and of the candidate."""
    if min(requests) == 0:
        return None
    shares = np.asarray(requests) / sum(requests)
    for counts, words in ((errors, "Errors"), (slow, "Slow requests")):
        rates = [count / total for count, total in zip(counts, requests, strict=True)]
        if rates[1] > rates[0] and sample_ratio.sequential_p_value(counts, shares.tolist()) < alpha:
            return (
                f"{words} are {rates[1]:.2%} of {requests[1]:,} requests, {rates[0]:.2%} of the control's "
                f"{requests[0]:,}."
            )
    return None


def largest_loss(plan: Plan, look: Look) -> float:
    """Return the largest loss of reward, relative to the control, that is not excluded; 1 if none is.

    It holds at all looks together, with the risk `plan.alpha`.
    """
    if min(look.control.listeners, look.candidate.listeners) < 2:
        return 1.0
    effect = adjusted_effect(look.control.reward, look.candidate.reward)[0]
    if math.isnan(effect.log_error):
        return 1.0
    return -effect.lift_interval(bound(plan, "reward", effect, plan.alpha))[0]


def bound(plan: Plan, metric: Metric, effect: Effect, alpha: float) -> float:
    """Return the one-sided bound of z that chance crosses at any look with a risk of at most alpha."""
    units = max(1, round(PLANNED * information(plan, metric, effect)))
    return always_valid.critical(units, 2 * alpha, round(TUNED * PLANNED))  # two-sided: half on each side

"""The decision of a look: keep, ramp, promote, take back, or wait, with the reason in one sentence."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from experiments.statistics import sample_ratio
from rollout.evidence import Evidence, gathered
from rollout.harm import harmed, harmed_shadow, largest_loss
from rollout.looks import Look
from rollout.plan import Metric
from rollout.rollout import Rollout

Action = Literal["keep", "wait", "ramp", "promote", "take back", "hold", "resume"]
BROKEN = 0.001  # p-value of equal cohorts below which they are not compared


@dataclass(frozen=True)
class Decision:
    """A decision about a roll-out.

    Args:
        action: `keep` and `wait` change nothing: a stage goes on, or data are missing. `ramp` goes to the next stage;
            `promote` and `take back` end the roll-out. A person may also `hold` and `resume` it.
        reason: Why, in one sentence.
        evidence: The evidence for a promotion by metric, with this look.
        requests: Requests of both cohorts at this look, control first.
    """

    action: Action
    reason: str
    evidence: Mapping[Metric, Evidence] = field(default_factory=dict)
    requests: tuple[int, int] = (0, 0)


def decide(rollout: Rollout, look: Look, at: datetime) -> Decision:
    """Return the decision of a look at a roll-out that runs or is held.

    Harm comes first, also in a roll-out that is held: it is tested at every look with an always-valid test. A stage
    ends when its time is over and both cohorts have data. At the last stage the candidate is promoted once it is shown
    to be within the margins. Missing data never end a stage: no traffic is neither good nor bad.

    Args:
        rollout: The roll-out.
        look: Both cohorts since it began.
        at: The instant of the look, UTC.
    """
    plan = rollout.plan

    def because(action: Action, reason: str, evidence: Mapping[Metric, Evidence] = rollout.evidence) -> Decision:
        return Decision(action, reason, evidence, look.requests)

    if rollout.stage == 0:
        return because(*shadowed(rollout, look))
    if reason := harmed(plan, look):
        return because("take back", reason)
    listeners = look.control.listeners, look.candidate.listeners
    if sample_ratio.sequential_p_value(listeners, (0.5, 0.5)) < BROKEN:
        return because(
            "wait",
            f"The cohorts have equal shares, but {listeners[0]:,} and {listeners[1]:,} listeners; nothing is compared.",
        )
    if rollout.phase == "held":
        return because("keep", "A person holds the roll-out.")
    hours = timedelta(hours=plan.stage_hours)
    if quiet := look.quiet(at - hours):
        name, ever = quiet
        return because("wait", f"The {name} has had no request {f'for {plan.stage_hours:g} hours' if ever else 'yet'}.")
    fresh = min(now - before for now, before in zip(look.requests, rollout.requests, strict=True))
    if fresh < plan.least_requests:
        return because(
            "wait",
            f"A stage needs {plan.least_requests:,} requests of each cohort; a cohort has {fresh:,} since it began.",
        )
    ends = rollout.since + hours
    if at < ends:
        return because("keep", f"The stage of {100 * rollout.share:.3g}% lasts until {ends:%Y-%m-%d %H:%M} UTC.")
    if rollout.stage < len(plan.stages):
        following = plan.stages[rollout.stage]
        if (loss := largest_loss(plan, look)) * following > plan.loss:
            return because(
                "keep",
                f"A loss of {loss:.0%} is not excluded yet; at a share of {100 * following:.3g}% it would cost "
                f"{loss * following:.1%} of all reward, and {plan.loss:.1%} may be at risk.",
            )
        return because("ramp", f"No harm in {sum(look.requests):,} requests of both cohorts.")
    if min(listeners) < plan.least_listeners:
        return because(
            "wait",
            f"A promotion needs {plan.least_listeners:,} listeners of each cohort; a cohort has {min(listeners):,}.",
        )
    evidence = gathered(plan, rollout.evidence, look)
    missing = [metric for metric, each in evidence.items() if not each.shown]
    if not missing:
        shown = " and ".join(f"{metric} within {plan.margins[metric]:.1%}" for metric in plan.margins)
        return because("promote", f"The candidate is not inferior: {shown} of the control.", evidence)
    metric = missing[0]
    if evidence[metric].complete:
        reason = (
            f"All planned information is there, and {metric} is not shown within {plan.margins[metric]:.1%}: "
            "a person decides."
        )
    else:
        reason = (
            f"{metric} is not yet shown within {plan.margins[metric]:.1%}, with {evidence[metric].information:.0%} of "
            "the planned information."
        )
    return because("keep", reason, evidence)


def shadowed(rollout: Rollout, look: Look) -> tuple[Action, str]:
    """Return the action, and why, for a candidate that is only asked in the shadow."""
    wanted, requests = rollout.plan.shadow_requests, look.shadow.requests
    if reason := harmed_shadow(rollout.plan, look.shadow):
        return "take back", f"In the shadow: {reason}"
    if rollout.phase == "held":
        return "keep", "A person holds the roll-out."
    if requests < wanted:
        return "wait", f"The shadow needs {wanted:,} requests; it has {requests:,}."
    return "ramp", f"No harm in {requests:,} requests of the shadow."

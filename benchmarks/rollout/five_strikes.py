"""The peer: a candidate goes on with every check that it passes, and is taken back after five that it fails.

Flagger and Argo Rollouts decide so by default: a metric of the newest window against a threshold, and a number of
failures. Here the threshold is a share of the control's reward in the same window.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from benchmarks.rollout.world import STEP, Step
from rollout.plan import Plan

STRIKES = 5
THRESHOLD = 0.9  # of the control's reward


@dataclass
class FiveStrikes:
    """The state of the peer.

    Args:
        plan: Its stages are used, each of which lasts as long as the plan says.
    """

    plan: Plan
    stage: int = 1
    passed: int = 0
    strikes: int = 0

    @property
    def share(self) -> float:
        """The candidate's share of the listeners."""
        return self.plan.stages[self.stage - 1]

    def decide(self, step: Step, at: datetime) -> str:
        """Return `keep`, `ramp`, `promote` or `take back` for a step; one step is one check."""
        (control, asked), (candidate, answered) = step.control, step.candidate
        if not (asked and answered):
            return "keep"
        if candidate / answered < THRESHOLD * control / asked:
            self.strikes += 1
            return "take back" if self.strikes == STRIKES else "keep"
        self.passed += 1
        if self.passed * STEP < timedelta(hours=self.plan.stage_hours):
            return "keep"
        self.passed = 0
        if self.stage == len(self.plan.stages):
            return "promote"
        self.stage += 1
        return "ramp"

"""A roll-out, and what changes it: pure functions from one state to the next."""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from rollout.evidence import Evidence
from rollout.plan import FORBID, Metric, Plan
from segue.yaml_settings import AtLeast0, AtLeast1
from serving.store.split import Split, salt_of

Phase = Literal["starting", "running", "held", "promoting", "taking back", "draining", "promoted", "taken back"]
Versions = dict[str, AtLeast0]  # model -> version
DRAIN = timedelta(seconds=15)  # the longest call of a model, which pins its version, takes 10 s
# How long a candidate stays loaded that a version with added items has replaced: a drain, and the 120 s that a server
# may take to load that version, because the move is dated by its begin.
KEPT = DRAIN + timedelta(seconds=120)


@dataclass(frozen=True, config=FORBID)
class Replaced:
    """The versions of a roll-out before items were added to them.

    Args:
        candidate, control: The versions, by model.
        since: When the labels began to leave them, UTC; None while a server loads the versions with the items. Until
            then the candidate's listeners keep `candidate`. Afterwards it stays loaded for the time `KEPT`.
    """

    candidate: Versions
    control: Versions
    since: AwareDatetime | None = None


@dataclass(frozen=True, config=FORBID)
class Rollout:
    """A roll-out.

    Args:
        number: Its number in the store, from 1.
        candidate: The versions that are tried, by model.
        control: The stable versions that it is compared with, by model: those at its start, with the items that were
            added since.
        plan: Its plan.
        phase: `starting`, `promoting`, `taking back` and `draining` are moves, which end by themselves or by the next
            command; `promoted` and `taken back` are ends.
        since: When the stage began; of a candidate that is drained, when that began. UTC.
        stage: The stage, from 1; 0 for the shadow before it, in which no listener sees the candidate.
        requests: Requests of both cohorts when the stage began, control first.
        evidence: The evidence for a promotion by metric.
        replaced: The versions that those with added items have just replaced; None if none are in use any more.
    """

    number: AtLeast1
    candidate: Annotated[Versions, Field(min_length=1)]
    control: Versions
    plan: Plan
    phase: Phase
    since: AwareDatetime
    stage: AtLeast0 = 1
    requests: tuple[AtLeast0, AtLeast0] = (0, 0)
    evidence: dict[Metric, Evidence] = field(default_factory=dict)
    replaced: Replaced | None = None

    def __post_init__(self) -> None:
        if self.stage > len(self.plan.stages):
            raise PydanticCustomError("stage", f"Input should be a roll-out at one of {len(self.plan.stages)} stages")

    @property
    def salt(self) -> str:
        """The salt of its buckets."""
        return salt_of(self.number)

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.phase in ("promoted", "taken back")

    @property
    def active(self) -> bool:
        """Whether its candidate is tried."""
        return self.phase in ("running", "held")

    @property
    def replacing(self) -> bool:
        """Whether the labels are moving to versions with added items."""
        return self.replaced is not None and self.replaced.since is None

    @property
    def share(self) -> float:
        """The share of the listeners who see the candidate. While a promotion moves the labels, they keep it."""
        seen = self.stage > 0 and (self.active or self.phase == "promoting")
        return self.plan.stages[self.stage - 1] if seen else 0.0

    @property
    def split(self) -> Split:
        """What gateways follow."""
        shadow = self.plan.shadow if self.active and not self.stage else 0.0
        candidate = self.replaced.candidate if self.replaced and self.replacing else self.candidate
        return Split(self.number, self.phase, self.share, candidate, shadow)


def ramped(rollout: Rollout, requests: tuple[int, int], at: datetime) -> Rollout:
    """Return a roll-out at its next stage."""
    return replace(rollout, stage=rollout.stage + 1, requests=requests, since=at)


def with_items(rollout: Rollout, candidate: Versions, control: Versions) -> Rollout:
    """Return a roll-out that goes on with versions to which items were added. Its labels have not moved yet."""
    return replace(rollout, candidate=candidate, control=control, replaced=Replaced(rollout.candidate, rollout.control))


def settled(rollout: Rollout, at: datetime) -> Rollout:
    """Return a roll-out whose labels are where its phase wants them.

    The move that they were moved for has ended; a drain ends with its time.
    """
    following: Mapping[Phase, Phase] = {"starting": "running", "promoting": "promoted", "taking back": "draining"}
    replaced = rollout.replaced
    if rollout.active and replaced and replaced.since is None:
        return replace(rollout, replaced=replace(replaced, since=at))
    if replaced and replaced.since and at >= replaced.since + KEPT:
        return replace(rollout, replaced=None)
    if rollout.phase == "draining" and at >= rollout.since + DRAIN:
        return replace(rollout, phase="taken back", since=at, replaced=None)
    if rollout.phase in following:
        stage = 0 if rollout.phase == "starting" and rollout.plan.shadow else rollout.stage
        return replace(rollout, phase=following[rollout.phase], since=at, stage=stage)
    return rollout

"""Assign a unit to arms: eligibility, the layer's bucket, the ramp, the arm's bucket, and overrides for testers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from experiments.assignment.buckets import BUCKETS, bucket, bucket_column
from experiments.assignment.layers import Range, first, width
from experiments.definition import Definition

if TYPE_CHECKING:
    import ibis.expr.types as ir


@dataclass(frozen=True)
class Running:
    """A running experiment as the assignment reads it.

    Args:
        definition: What was started.
        ranges: The buckets of the layer that it will have at its last stage.
        stage: The stage of the ramp, from 1.
    """

    definition: Definition
    ranges: tuple[Range, ...]
    stage: int = 1

    @cached_property
    def admitted(self) -> tuple[Range, ...]:
        """The buckets of the layer that are in the experiment at this stage."""
        return first(self.ranges, width(self.definition.share[self.stage - 1]))

    @cached_property
    def arm_ends(self) -> tuple[tuple[int, str], ...]:
        """For each arm, the bucket after its last, and its name."""
        total, ends = 0.0, []
        for arm in self.definition.arms:
            total += arm.share
            ends.append((round(total * BUCKETS), arm.name))
        return tuple(ends)

    def arm_of(self, unit: str) -> str:
        """Return the arm of a unit that is in the experiment: a listener, or the block of a switchback."""
        number = bucket(self.definition.salted, unit)
        return next(arm for end, arm in self.arm_ends if number < end)


@dataclass(frozen=True)
class Assignment:
    """The arm of a unit in one experiment.

    Args:
        experiment, arm: Their names.
        parameters: What the arm sets, by the dotted name of the parameter.
        changed: The parameters that are not equal in all arms.
        forced: Whether an override put the unit there; such units are left out of the analysis.
    """

    experiment: str
    arm: str
    parameters: Mapping[str, Any]
    changed: frozenset[str]
    forced: bool = False


def assign(
    running: Sequence[Running], user_id: str, attributes: Mapping[str, str | None], at: datetime
) -> list[Assignment]:
    """Return the arms of a listener in all running experiments that have it.

    Args:
        running: The running experiments.
        user_id: The listener.
        attributes: What is known of listener and context: `country`, `plan`, `surface`, …
        at: The moment of the decision, UTC; it names the block of a switchback.
    """
    buckets: dict[str, int] = {}  # of layers: those of one layer share it
    assigned = []
    for one in running:
        definition = one.definition
        forced = definition.overrides.get(user_id)
        unit = user_id if definition.unit == "user_id" else time_block(at, definition.block_hours)
        name = forced
        if name is None and eligible(definition, attributes):
            layer = definition.layer
            if layer.salted not in buckets:
                buckets[layer.salted] = bucket(layer.salted, user_id)
            if any(start <= buckets[layer.salted] < end for start, end in one.admitted):
                name = one.arm_of(unit)
        if name is not None:
            arm = definition.arm(name)
            assigned.append(Assignment(definition.name, name, arm.parameters, definition.changed, forced is not None))
    return assigned


def arms_to_log(assignments: Iterable[Assignment], read: Iterable[str]) -> dict[str, str]:
    """Return the arms that an exposure names: those of experiments whose arms differ in a parameter that was read.

    A decision that reads none of them is the same in all arms, and would only dilute the effect.
    """
    parameters = set(read)
    return {each.experiment: each.arm for each in assignments if each.changed & parameters}


def eligible(definition: Definition, attributes: Mapping[str, str | None]) -> bool:
    """Whether each attribute that the experiment restricts has one of the allowed values; an unknown one has none."""
    return all(attributes.get(name) in allowed for name, allowed in definition.eligible.items())


def time_block(at: datetime, hours: int) -> str:
    """Return the number of the block of hours that an instant falls into, as text; blocks are counted from 1970 UTC."""
    return str(int(at.timestamp()) // (3600 * hours))


def arm_column(running: Running, users: "ir.StringValue") -> "ir.StringValue":
    """Return the arm of each listener as an Ibis expression, null outside of the experiment; without eligibility."""
    import ibis

    layer = bucket_column(running.definition.layer.salted, users)
    number = bucket_column(running.definition.salted, users)
    within = ibis.or_(*((layer >= start) & (layer < end) for start, end in running.admitted))
    return ibis.cases(*((within & (number < end), name) for end, name in running.arm_ends))

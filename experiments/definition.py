"""The definition of an experiment: what YAML may say, checked by pydantic, with the path in the YAML in each error."""

from dataclasses import asdict, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from experiments.metrics.catalogue import CATALOGUE
from segue.errors import InputError
from segue.near_names import unknown_name
from segue.yaml_settings import AtLeast1, Positive, Whole, build, read_settings

FORBID = ConfigDict(extra="forbid")
Name = Annotated[str, Field(strict=True, pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Text = Annotated[str, Field(strict=True, min_length=1, max_length=1000)]
PositiveShare = Annotated[Positive, Field(le=1)]
Probability = Annotated[Positive, Field(lt=1)]
Methods = Literal["group_sequential", "always_valid"]
Spending = Literal["obrien_fleming", "pocock"]


def rising(shares: tuple[float, ...]) -> tuple[float, ...]:
    """Refuse a ramp that does not rise."""
    if not shares or any(later <= earlier for earlier, later in pairwise(shares)):
        raise PydanticCustomError("shares", "Input should be a list of rising shares of the layer")
    return shares


@dataclass(frozen=True, config=FORBID)
class Layer:
    """The layer of an experiment.

    Args:
        name: Its name. Experiments of one layer exclude each other.
        holdback: The share of the layer that stays out of all experiments.
        salt: Salt of the layer's buckets; None takes the name.
    """

    name: Name
    holdback: Annotated[float, Field(strict=True, ge=0, lt=1)] = 0.0
    salt: Name | None = None

    @property
    def salted(self) -> str:
        """The salt of the layer's buckets."""
        return self.salt or f"layer-{self.name}"


@dataclass(frozen=True, config=FORBID)
class Arm:
    """One arm: its share of the experiment, and what it sets, by the dotted name of the parameter."""

    name: Name
    share: PositiveShare
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, config=FORBID)
class Metrics:
    """The metrics that decide.

    Args:
        success: The metrics to improve, each with the smallest relative lift worth finding.
        guardrails: The metrics that may not get worse, each with the relative margin of harm that is accepted.
        deterioration: Further metrics that stop the experiment if they get worse.
    """

    success: Annotated[dict[str, PositiveShare], Field(min_length=1)]
    guardrails: dict[str, PositiveShare] = field(default_factory=dict)
    deterioration: tuple[str, ...] = ()

    def roles(self) -> dict[str, str]:
        """The role of each metric, by its name."""
        named = {"success": self.success, "guardrail": self.guardrails, "deterioration": self.deterioration}
        return {metric: role for role, metrics in named.items() for metric in metrics}


@dataclass(frozen=True, config=FORBID)
class Plan:
    """How long, how often and with what risks.

    Args:
        days: Planned length.
        looks: Planned number of looks; `segue experiment plan` computes the power with it.
        units: Planned number of listeners of all arms, as `segue experiment plan` says; None plans by the days alone.
        method: `group_sequential` has the most power where the end is known, `always_valid` needs no end.
        spending: How the group-sequential method spends alpha: late (`obrien_fleming`) or evenly (`pocock`).
        alpha: Risk of shipping a change without effect.
        power: Chance of shipping a change with the smallest effects worth finding.
        pre_days: Days before the start whose sums reduce the variance (CUPED).
    """

    days: AtLeast1 = 14
    looks: AtLeast1 = 14
    units: AtLeast1 | None = None
    method: Methods = "group_sequential"
    spending: Spending = "obrien_fleming"
    alpha: Probability = 0.05
    power: Probability = 0.8
    pre_days: Annotated[Whole, Field(ge=0, le=365)] = 14


def whole_arms(arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
    """Refuse fewer than two arms, equal names, and shares that are not 100 % together."""
    if len(arms) < 2 or len({arm.name for arm in arms}) < len(arms):
        raise PydanticCustomError("arms", "Input should be two or more arms with different names, the control first")
    if abs(sum(arm.share for arm in arms) - 1) > 1e-9:
        raise PydanticCustomError("arms", "Input should be arms whose shares sum to 1")
    return arms


@dataclass(frozen=True, config=FORBID)
class Definition:
    """An experiment.

    Args:
        name: Its name, used once for ever.
        hypothesis: What is expected, and why.
        owner: Who answers for it.
        layer: Its layer.
        arms: Two or more arms; the first is the control.
        metrics: The metrics that decide.
        share: The stages of the ramp: rising shares of the layer; the last is reserved from the start.
        salt: Salt of the arms' buckets; None takes the name.
        unit: What is randomized: a listener, or a block of hours for all listeners (a switchback).
        block_hours: Length of a switchback's block.
        eligible: Allowed values by attribute of the listener or the context; an absent attribute is not restricted.
        overrides: Testers, and the arm that each always sees; they are left out of the analysis.
        plan: Length, looks and risks.
    """

    name: Name
    hypothesis: Text
    owner: Text
    layer: Layer
    arms: Annotated[tuple[Arm, ...], AfterValidator(whole_arms)]
    metrics: Metrics
    share: Annotated[tuple[PositiveShare, ...], AfterValidator(rising)] = (1.0,)
    salt: Name | None = None
    unit: Literal["user_id", "time_block"] = "user_id"
    block_hours: Annotated[Whole, Field(ge=1, le=168)] = 6
    eligible: dict[str, tuple[str, ...]] = field(default_factory=dict)
    overrides: dict[str, str] = field(default_factory=dict)
    plan: Plan = Plan()

    @property
    def salted(self) -> str:
        """The salt of the arms' buckets."""
        return self.salt or self.name

    @property
    def control(self) -> Arm:
        """The arm that the others are compared with."""
        return self.arms[0]

    @property
    def parameters(self) -> frozenset[str]:
        """The parameters that an arm sets."""
        return frozenset(name for arm in self.arms for name in arm.parameters)

    @cached_property
    def changed(self) -> frozenset[str]:
        """The parameters that are not equal in all arms."""
        absent = object()
        return frozenset(
            name
            for name in self.parameters
            if any(arm.parameters.get(name, absent) != self.control.parameters.get(name, absent) for arm in self.arms)
        )

    def arm(self, name: str) -> Arm:
        """Return the arm of a name."""
        return next(arm for arm in self.arms if arm.name == name)

    def to_dict(self) -> dict[str, Any]:
        """The definition as JSON types."""
        return asdict(self)  # type: ignore[call-overload]


def parse(values: Any) -> Definition:
    """Return the definition that a mapping gives.

    Raises:
        InputError: An unknown setting, metric or arm, or a value of the wrong type or out of range.
    """
    definition = build(Definition, values, "")
    metrics = definition.metrics
    for section in ("success", "guardrails", "deterioration"):
        for name in getattr(metrics, section):
            if name not in CATALOGUE:
                raise unknown_name("metric", name, list(CATALOGUE), f"metrics.{section}.")
    names = [*metrics.success, *metrics.guardrails, *metrics.deterioration]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise InputError(
            f"A metric has one role. metrics names {min(repeated)} more than once.", "Name it in one of the sections."
        )
    arms = [arm.name for arm in definition.arms]
    for user, arm in definition.overrides.items():
        if arm not in arms:
            raise unknown_name("arm", arm, arms, f"overrides.{user}: ")
    if definition.share[-1] + definition.layer.holdback > 1 + 1e-9:
        raise InputError(
            f"An experiment and the holdback have at most 100 % of a layer. share[{len(definition.share) - 1}] is "
            f"{definition.share[-1]:.2%} and layer.holdback {definition.layer.holdback:.2%}.",
            "Lower one of them.",
        )
    return definition


def read(path: Path) -> Definition:
    """Return the definition in a YAML file.

    Raises:
        InputError: As `parse`, or the file cannot be read.
    """
    return parse(read_settings(path))

"""The scorecard of a look: each metric's effect in each arm, with an interval that holds at all looks."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np

from experiments.checks import checks, sliced
from experiments.definition import Definition
from experiments.metrics.catalogue import CATALOGUE
from experiments.metrics.sums import UnitSums
from experiments.statistics import always_valid, sequential
from experiments.statistics.cuped import adjusted_effect
from experiments.statistics.effects import Effect, effect
from experiments.statistics.multiple import Risks, risks
from experiments.statistics.non_inferiority import z_above_margin
from experiments.statistics.switchback import student_bound

QUALITY_ALPHA = 0.001  # of the checks that call an experiment invalid
TUNED = 10_000  # units at which an always-valid interval is narrowest, if no number is planned


@dataclass(frozen=True)
class Row:
    """A metric in one arm.

    Attributes:
        metric, role, arm: Names; the role is `success`, `guardrail`, `deterioration` or
            `quality`; the last decides nothing.
        higher_is_better: The metric's direction.
        control, treatment: The values.
        difference: Treatment minus control, after CUPED, with its interval `low`, `high`.
        lift: The relative difference with `lift_low`, `lift_high`; None unless both values are positive. Early looks of
            the group-sequential method and arms of fewer than two units have no bound, and so no ends of the interval.
        z: The difference in standard errors.
        critical: The bound of |z| at this look.
        improved, worse: Whether z has crossed the bound in or against the metric's direction, at this look or before.
        margin: The accepted relative harm of a guardrail; None for others.
        non_inferior: Whether a guardrail was shown to be within its margin, at this look or before.
        variance_removed: Share of the variance that the days before the experiment explain.
    """

    metric: str
    role: str
    arm: str
    higher_is_better: bool
    control: float
    treatment: float
    difference: float
    low: float
    high: float
    lift: float | None
    lift_low: float | None
    lift_high: float | None
    z: float
    critical: float
    improved: bool
    worse: bool
    margin: float | None
    non_inferior: bool
    variance_removed: float


@dataclass(frozen=True)
class Scorecard:
    """The result of a look.

    Attributes:
        experiment: Its name.
        look: Number of the look, from 1.
        at: Instant of the look; rows before it were read.
        method: How looks are accounted for.
        units: Number of units by arm.
        information: Share of the planned information; 1 or more at the planned end.
        alpha_spent: Share of alpha that the looks so far have spent.
        rows: Each metric in each arm.
        checks: P-values of the checks, by name; below 0.001 an experiment is invalid.
        mixed, misassigned: Numbers of units that were logged in several arms, or in another than their bucket's.
        slices: Rows of success metrics by column and value, with the corrected p-value that the effect is the same.
        unmeasured: Metrics that the log cannot give, with the reason.
    """

    experiment: str
    look: int
    at: str
    method: str
    units: dict[str, int]
    information: float
    alpha_spent: float
    rows: tuple[Row, ...]
    checks: dict[str, float]
    mixed: int
    misassigned: int
    slices: tuple[dict[str, Any], ...] = ()
    unmeasured: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The scorecard as JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Looks:
    """The looks at an experiment so far, and now: they say how far from 0 z must be.

    Args:
        definition: The experiment.
        shares: Shares of the planned information at each look, the last one now; rising, at most 1.
        units: Units now.
    """

    definition: Definition
    shares: tuple[float, ...]
    units: int

    def critical(self, alpha: float) -> float:
        """Return the one-sided bound of z at this look, with the risk `alpha` of a crossing at any look."""
        plan = self.definition.plan
        if plan.method == "always_valid":
            # The interval of level 2 alpha leaves out an effect on each side with a risk of at most alpha, nearly.
            return always_valid.critical(self.units, 2 * alpha, plan.units or TUNED)
        return group_sequential_bound(self.shares, plan.spending, alpha)

    @property
    def alpha_spent(self) -> float:
        """The share of alpha spent; an always-valid interval spends none by looking."""
        plan = self.definition.plan
        if plan.method == "always_valid":
            return 0.0
        return sequential.SPENDING[plan.spending](self.shares[-1], plan.alpha / 2) / (plan.alpha / 2)


@cache
def group_sequential_bound(shares: tuple[float, ...], spending: str, alpha: float) -> float:
    """Return the one-sided bound of z at the last of some looks; metrics of one role share it."""
    return float(sequential.bounds(shares, sequential.SPENDING[spending], alpha)[-1])


def score(
    definition: Definition, sums: UnitSums, started: datetime, at: datetime, earlier: Sequence[dict[str, Any]] = ()
) -> Scorecard:
    """Return the scorecard of a look.

    Args:
        definition: The experiment.
        sums: The sums of its units.
        started: Start of the experiment, UTC.
        at: Instant of the look, UTC.
        earlier: The scorecards of earlier looks as JSON types: a bound that was crossed stays crossed.
    """
    units = int(sum(sums.counts))
    information = information_now(definition, units, at - started)
    looks = Looks(definition, information_shares(earlier, information), units)
    metrics, arms = definition.metrics, len(definition.arms) - 1
    levels = risks(
        definition.plan.alpha,
        definition.plan.power,
        len(metrics.success),
        len(metrics.guardrails),
        len(metrics.deterioration),
        arms,
    )
    crossed = {(row["metric"], row["arm"]): row for look in earlier for row in latched(look)}
    rows = [
        scored(definition, sums, metric, role, arm, looks, levels, crossed.get((metric, sums.arms[arm]), {}))
        for metric, role in {**dict.fromkeys(sums.sums, "quality"), **definition.metrics.roles()}.items()
        if metric in sums.sums
        for arm in range(1, arms + 1)
    ]
    return Scorecard(
        definition.name,
        len(earlier) + 1,
        at.isoformat(),
        definition.plan.method,
        dict(zip(sums.arms, sums.counts, strict=True)),
        information,
        looks.alpha_spent,
        tuple(rows),
        checks(definition, sums),
        sums.mixed,
        sums.misassigned,
        tuple(sliced(definition, sums)),
        sums.unmeasured,
    )


def information_now(definition: Definition, units: int, elapsed: timedelta) -> float:
    """Return the share of the planned information: that of the days, or of the units where fewer came than planned.

    Listeners who stay add less information with every day than new ones, so looks at the same listeners resemble each
    other more than the bounds assume, which makes them safe. The days keep whole weeks in an experiment.
    """
    plan = definition.plan
    days = elapsed / timedelta(days=plan.days)
    return min(days, units / plan.units) if plan.units else days


def information_shares(earlier: Sequence[dict[str, Any]], now: float) -> tuple[float, ...]:
    """Return the share of the planned information at each look: rising, and at most 1."""
    shares = [*(look["information"] for look in earlier), now]
    return tuple(float(share) for share in np.maximum.accumulate(np.clip(shares, 1e-6, 1.0)))


def latched(look: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of an earlier look that crossed a bound; a later look only reads what was crossed by then.

    A look carries the crossings before it, so the last one has them all.
    """
    return [row for row in look["rows"] if row["improved"] or row["worse"] or row["non_inferior"]]


def scored(
    definition: Definition,
    sums: UnitSums,
    metric: str,
    role: str,
    arm: int,
    looks: Looks,
    levels: Risks,
    crossed: dict[str, Any],
) -> Row:
    """Return a metric's row in one arm."""
    control, treatment = sums.of(metric, 0), sums.of(metric, arm)
    plain, (result, removed) = effect(control, treatment), adjusted_effect(control, treatment)
    better = 1 if CATALOGUE[metric].higher_is_better else -1
    alpha = levels.success / 2 if role == "success" else levels.deterioration
    bound, harm = (bound_of(looks, level, result) for level in (alpha, levels.deterioration))
    margin = definition.metrics.guardrails.get(metric)
    non_inferior = False
    if margin is not None:
        limit = bound_of(looks, levels.guardrail, result)
        non_inferior = z_above_margin(result, margin, better > 0) > limit
        bound = limit
    low, high = result.interval(bound) if math.isfinite(bound) else (-math.inf, math.inf)
    lift, ends = (None if math.isnan(result.lift) else result.lift), (None, None)
    if lift is not None and math.isfinite(bound):
        ends = result.lift_interval(bound)  # type: ignore[assignment]
    return Row(
        metric, role, sums.arms[arm], better > 0, plain.control.value, plain.treatment.value, result.difference,
        low, high, lift, *ends, result.z, bound,
        improved=crossed.get("improved", False) or better * result.z > bound,
        worse=crossed.get("worse", False) or better * result.z < -harm,
        margin=margin,
        non_inferior=crossed.get("non_inferior", False) or non_inferior,
        variance_removed=removed,
    )  # fmt: skip


def bound_of(looks: Looks, alpha: float, result: Effect) -> float:
    """Return the one-sided bound of z for a risk; a switchback's is wider, because its blocks are few.

    An arm of fewer than two units has no variance, and so no bound: infinity.
    """
    if min(result.control.units, result.treatment.units) < 2:
        return math.inf
    bound = looks.critical(alpha)
    return bound if looks.definition.unit == "user_id" else student_bound(bound, result)

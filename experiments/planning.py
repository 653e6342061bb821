"""Plan an experiment from the log that is there: how many units each metric needs, and how many days that takes.

Units are listeners, or the blocks of hours of a switchback.
"""

import math
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from events.schema import IMPRESSION
from experiments.definition import Definition
from experiments.metrics.catalogue import CATALOGUE, DAY_US
from experiments.metrics.log import Log
from experiments.metrics.sums import in_blocks, measurable, read_sums, with_pages, with_sums, within
from experiments.statistics import sample_size, sequential
from experiments.statistics.cuped import adjusted_effect
from experiments.statistics.effects import Sums, linearized, ratio
from experiments.statistics.multiple import risks
from segue.errors import InputError


@dataclass(frozen=True)
class Need:
    """What a metric needs.

    Attributes:
        metric, role: Names.
        value: Its value in the log.
        change: The relative lift to find, or a guardrail's margin.
        units: Units of all arms that it needs; 0 for a guardrail that never happens, which has no margin to show.
        variance_removed: Share of the variance that the days before explain.
    """

    metric: str
    role: str
    value: float
    change: float
    units: int
    variance_removed: float


@dataclass(frozen=True)
class Outlook:
    """The plan of an experiment.

    Attributes:
        needs: What each success metric and guardrail needs.
        units: The largest of these numbers: `plan.units` of the definition.
        days: Days until so many come to the experiment's last share of the layer; None if they never do.
        seen: Units of the log in the planned days.
        unmeasured: Metrics that the log cannot give, with the reason.
    """

    needs: tuple[Need, ...]
    units: int
    days: int | None
    seen: int
    unmeasured: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON types."""
        return asdict(self)


def outlook(definition: Definition, log: Log, end: datetime) -> Outlook:
    """Return the plan of an experiment, as if it had run in the newest days of a log.

    Args:
        definition: The experiment.
        log: The log.
        end: The end of the log, UTC.

    Raises:
        InputError: The log has no listener in these days, or a success metric never happens.
    """
    plan, switchback = definition.plan, definition.unit == "time_block"
    started = end - timedelta(days=plan.days)
    since = started if switchback else started - timedelta(days=plan.pre_days)
    rows = with_pages(within(log.events, since, end))
    if switchback:
        log, rows = replace(log, requests=None), in_blocks(rows, definition)
    seen = rows.filter((rows.action == IMPRESSION) & (rows.ts >= started))
    exposed = seen.group_by("user_id").agg(first=seen.micros.min())
    roles = {name: role for name, role in definition.metrics.roles().items() if role != "deterioration"}
    measured, unmeasured = measurable(log, [CATALOGUE[name] for name in roles])
    frame = with_sums(log, rows, exposed, measured, started, end, since).order_by("user_id").to_pyarrow()
    if frame.num_rows < 2:
        raise InputError(
            f"A plan needs impressions of several {units_of(definition)}. The {plan.days} days before "
            f"{end:%Y-%m-%d} have {frame.num_rows}.",
            "Import a log with impressions, or plan with more days.",
        )
    sums = read_sums(frame, measured, np.ones(frame.num_rows, dtype=bool), since < started)
    needs = [need(definition, metric.name, roles[metric.name], sums[metric.name]) for metric in measured]
    days = (frame["first"].to_numpy() - round(started.timestamp() * 1e6)) // DAY_US
    share = 1 if switchback else definition.share[-1]  # each block has listeners of the experiment
    arrivals = (share * np.bincount(days, minlength=plan.days)).tolist()  # a day may bring less than one
    units = max((each.units for each in needs), default=0)
    return Outlook(tuple(needs), units, sample_size.days_for(units, arrivals), frame.num_rows, unmeasured)


def units_of(definition: Definition) -> str:
    """Say what the units of an experiment are."""
    return "listeners" if definition.unit == "user_id" else f"blocks of {definition.block_hours} hours"


def need(definition: Definition, metric: str, role: str, sums: Sums) -> Need:
    """Return what a metric needs, with its share of the risks and the planned looks."""
    plan, metrics = definition.plan, definition.metrics
    levels = risks(
        plan.alpha,
        plan.power,
        len(metrics.success),
        len(metrics.guardrails),
        len(metrics.deterioration),
        len(definition.arms) - 1,
    )
    change = {**metrics.success, **metrics.guardrails}[metric]
    better = 1 if CATALOGUE[metric].higher_is_better else -1
    alpha = levels.success / 2 if role == "success" else levels.guardrail
    value = ratio(sums.numerator, sums.denominator)
    if role == "guardrail" and value == 0:  # the planned end decides it, whenever that is
        return Need(metric, role, value, change, 0, 0.0)
    half = np.arange(len(sums.numerator)) % 2 == 0
    removed = max(0.0, adjusted_effect(sums.take(half), sums.take(~half))[1])
    variance = float(linearized(sums.numerator, sums.denominator).var(ddof=1)) * (1 - removed)
    smallest = min(arm.share for arm in definition.arms[1:])
    # A lift multiplies a listener's sums, and so the deviation. Non-inferiority scales the control by the margin.
    variances = (variance, variance * (1 + better * change) ** 2)
    if role == "guardrail":
        variances = (variance * (1 - better * change) ** 2, variance)
    try:
        units = sample_size.units_for(
            change * value, variances, (definition.control.share, smallest), drift(definition, alpha, levels.power)
        )
    except InputError as error:
        raise InputError(f"{metric}: {error.headline}", error.fix) from None
    return Need(metric, role, value, change, units, removed)


def drift(definition: Definition, alpha: float, power: float) -> float:
    """Return the expected z at the planned end with which a test of one-sided level alpha has this power.

    The always-valid method is planned as one look at the end, with its wider interval there: looks before it only add
    power, so the plan is on the safe side.
    """
    plan = definition.plan
    if plan.method == "always_valid":
        from scipy.stats import norm

        from experiments.statistics import always_valid

        return always_valid.critical(1, 2 * alpha, 1) + float(norm.ppf(power))
    shares = [(look + 1) / plan.looks for look in range(plan.looks)]
    spend = sequential.SPENDING[plan.spending]
    limits = sequential.bounds(shares, spend, alpha)
    result = sequential.drift_for(power, shares, list(limits))
    assert math.isfinite(result)
    return result

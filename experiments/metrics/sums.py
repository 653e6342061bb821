"""One pass over a log to the sums of each unit: what all statistics start from.

A unit counts from its first exposure to the experiment (`triggered` analysis): before it, both arms saw the same. All
later events count, on every surface, because an arm may move listening from one surface to another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from events.schema import IMPRESSION
from experiments.assignment.assign import Running, arm_column
from experiments.definition import Definition
from experiments.metrics.catalogue import DAY_US
from experiments.metrics.log import Log
from experiments.metrics.metric import Metric
from experiments.statistics.effects import Sums
from segue.errors import InputError

if TYPE_CHECKING:
    import ibis.expr.types as ir

SLICES = ("country", "plan", "age_band")  # of the table of users
OF_ITEMS = ("creator_id", "release_date")
OF_PAGES = ("fallback", "degraded")  # of exposures
PARTS = ("n", "d", "bn", "bd")  # numerator and denominator after the first exposure, and before the experiment
BURN_IN = 0.25  # share of a switchback's block that is left out


@dataclass(frozen=True)
class UnitSums:
    """The sums of an experiment's units; all arrays are `[n]`.

    Attributes:
        arms: Names of the arms, the control first.
        arm: Number of each unit's arm.
        day: Day of each unit's first exposure, from 0 at the start.
        sums: The sums of each metric.
        slices: Each unit's value, by column of the table of users; "" where it is unknown.
        mixed: Number of units that were logged in more than one arm; they are left out.
        misassigned: Number of units that were logged in another arm than their bucket says.
        lost: Sums of actions without their exposure by those with a request, of all units that the buckets put into the
            experiment, and the number of their arm.
        unmeasured: Metrics that the log cannot give, with the reason.
    """

    arms: tuple[str, ...]
    arm: np.ndarray
    day: np.ndarray
    sums: dict[str, Sums]
    slices: dict[str, np.ndarray]
    mixed: int
    misassigned: int
    lost: tuple[np.ndarray, Sums]
    unmeasured: dict[str, str]

    @property
    def counts(self) -> list[int]:
        """The number of units in each arm."""
        return np.bincount(self.arm, minlength=len(self.arms)).tolist()

    def of(self, metric: str, arm: int) -> Sums:
        """The sums of a metric in one arm."""
        return self.sums[metric].take(self.arm == arm)


def unit_sums(log: Log, running: Running, metrics: Sequence[Metric], started: datetime, until: datetime) -> UnitSums:
    """Return the sums of each unit of an experiment.

    Args:
        log: The log.
        running: The experiment.
        metrics: The metrics to sum.
        started: Start of the experiment, UTC.
        until: Rows from this instant on are not read, UTC.

    Raises:
        InputError: No unit was exposed, or no exposure was ever collected into the log.
    """
    import ibis

    if "exposure" not in log.events.columns:
        raise InputError(
            "An experiment reads exposures that the gateway logged. The data set has none.",
            "Serve listeners with the gateway, and then run `segue data collect`.",
        )
    definition = running.definition
    switchback = definition.unit == "time_block"
    since = started if switchback else started - timedelta(days=definition.plan.pre_days)
    if switchback:
        log = replace(log, requests=None)  # what has no exposure has no arm
    rows = with_pages(within(log.events, since, until))
    rows = rows.mutate(arms=rows.exposure["arms"])
    if definition.overrides:
        rows = rows.filter(~rows.user_id.isin(list(definition.overrides)))
    lost = lost_exposures(rows, running, started)
    if switchback:
        rows = in_blocks(rows.filter(arm_of(rows.arms, definition.name).notnull()), definition)
    exposed = ibis.memtable(first_exposures(rows, definition.name, started).to_pyarrow())  # read once, used often
    measured, unmeasured = measurable(log, metrics)
    table = with_sums(log, rows, exposed, measured, started, until, since)
    if not switchback:
        table = table.mutate(assigned=arm_column(running, table.user_id))
    columns = [name for name in SLICES if name in log.users.columns and not switchback]
    if columns:
        table = table.left_join(log.users.select("user_id", *columns), "user_id").drop("user_id_right")
    frame = table.order_by("user_id").to_pyarrow()
    return collected(frame, running, measured, columns, unmeasured, started, lost)


def with_sums(
    log: Log,
    rows: "ir.Table",
    exposed: "ir.Table",
    metrics: Sequence[Metric],
    started: datetime,
    until: datetime,
    since: datetime,
) -> "ir.Table":
    """Return the exposed units (`user_id`, `first`) with the sums of metrics: one pass over each log that they read."""
    table = exposed
    for source in ("events", "requests"):
        chosen = [metric for metric in metrics if metric.table == source]
        if chosen:
            read = rows if source == "events" or log.requests is None else within(log.requests, since, until)
            sums = summed(with_items(read, log.items, chosen), exposed, chosen, started)
            table = table.left_join(sums, "user_id").drop("user_id_right")
    return table


def within(rows: "ir.Table", since: datetime, until: datetime) -> "ir.Table":
    """The rows of a span of time, with `micros` since 1970 UTC: DuckDB is five times faster with them."""
    import ibis
    import ibis.expr.datatypes as dt

    @ibis.udf.scalar.builtin
    def epoch_us(instant: dt.Timestamp("UTC")) -> int:  # type: ignore[valid-type, empty-body]
        """DuckDB's microseconds since 1970."""

    return rows.filter((rows.ts >= since) & (rows.ts < until)).mutate(micros=epoch_us(rows.ts))


def with_pages(rows: "ir.Table") -> "ir.Table":
    """The rows with what metrics read of their exposures, as far as the log has it."""
    given = rows.exposure.names if "exposure" in rows.columns else ()
    return rows.mutate(**{name: rows.exposure[name] for name in OF_PAGES if name in given})


def arm_of(arms: Any, experiment: str) -> Any:
    """The arm of an experiment in a column of JSON objects; null where it is not named."""
    return arms.cast("json")[experiment].str


def first_exposures(rows: "ir.Table", experiment: str, started: datetime) -> "ir.Table":
    """Return the exposed units: `user_id`, `first` (its microseconds), and `arm` and `other`, equal but for a mistake.

    A unit has few different texts of arms, and only these are parsed.
    """
    seen = rows.filter(rows.arms.notnull() & (rows.ts >= started))
    seen = seen.group_by("user_id", "arms").agg(first=seen.micros.min())
    named = seen.mutate(arm=arm_of(seen.arms, experiment)).filter(lambda each: each.arm.notnull())
    return named.group_by("user_id").agg(first=named["first"].min(), arm=named.arm.min(), other=named.arm.max())


def in_blocks(rows: "ir.Table", definition: Definition) -> "ir.Table":
    """The rows of a switchback without the start of each block; the block takes the place of the listener.

    Feedback belongs to the block in which its page was decided: a play may end in the next one, with another arm.
    """
    length = 3600 * 1_000_000 * definition.block_hours
    decided = rows.micros.min(where=rows.action == IMPRESSION).over(group_by=[rows.user_id, rows.request_id])
    rows = rows.mutate(decided=rows.request_id.isnull().ifelse(rows.micros, decided.coalesce(rows.micros)))
    kept = rows.filter(rows.decided % length >= int(BURN_IN * length))
    return kept.mutate(user_id=(kept.decided // length).cast("string"))


def measurable(log: Log, metrics: Sequence[Metric]) -> tuple[list[Metric], dict[str, str]]:
    """Return the metrics whose columns the log has, and the others with the reason."""
    columns = {*with_pages(log.events).columns, *(set(OF_ITEMS) & set(log.items.columns))}
    requests = set(log.requests.columns) if log.requests is not None else set()
    measured, unmeasured = [], {}
    for metric in metrics:
        missing = set(metric.needs) - (columns if metric.table == "events" else requests)
        if metric.table == "requests" and log.requests is None:
            unmeasured[metric.name] = "there is no log of requests"
        elif missing:
            unmeasured[metric.name] = f"the {metric.table} have no {', '.join(sorted(missing))}"
        else:
            measured.append(metric)
    return measured, unmeasured


def with_items(rows: "ir.Table", items: "ir.Table", metrics: Sequence[Metric]) -> "ir.Table":
    """The rows with the columns of items that some metrics need."""
    columns = sorted({name for metric in metrics for name in metric.needs} & set(OF_ITEMS))
    if not columns:
        return rows
    return rows.left_join(items.select("item_id", *columns), "item_id").drop("item_id_right")


def summed(rows: "ir.Table", exposed: "ir.Table", metrics: Sequence[Metric], started: datetime) -> "ir.Table":
    """The sums of metrics for each exposed unit: after its first exposure, and before the experiment."""
    joined = rows.inner_join(exposed.select("user_id", "first"), "user_id")
    days = (joined.micros - joined["first"]) / DAY_US
    after, before = joined.micros >= joined["first"], joined.ts < started
    parts: dict[str, Any] = {}
    for number, metric in enumerate(metrics):
        numerator = metric.numerator(joined)
        shown = after & (days < metric.window_days) if metric.window_days else after
        for suffix, where in (("", shown), ("b", before)):
            total = numerator.nunique(where=where) if metric.distinct else numerator.sum(where=where)
            parts[f"{metric.table}{number}_{suffix}n"] = total
            if metric.denominator is not None:
                parts[f"{metric.table}{number}_{suffix}d"] = metric.denominator(joined).sum(where=where)
    return joined.group_by("user_id").agg(**parts)


def lost_exposures(rows: "ir.Table", running: Running, started: datetime) -> tuple[np.ndarray, Sums]:
    """Return the arm of each unit that acted on a request, and its actions without and with an exposure.

    The arm is that of the buckets, so a unit of which every exposure is lost still has one.
    """
    acted = rows.filter((rows.ts >= started) & rows.request_id.notnull() & (rows.action != IMPRESSION))
    units = acted.group_by("user_id").agg(lost=acted.exposure.isnull().cast("float64").sum(), actions=acted.count())
    units = units.mutate(arm=arm_column(running, units.user_id))
    frame = units.filter(units.arm.notnull()).order_by("user_id").to_pyarrow()
    names = [arm.name for arm in running.definition.arms]
    arm = np.array([names.index(name) for name in frame["arm"].to_pylist()], dtype=np.int64)
    return arm, Sums(frame["lost"].to_numpy().astype(float), frame["actions"].to_numpy().astype(float))


def collected(
    frame: Any,
    running: Running,
    metrics: Sequence[Metric],
    columns: Sequence[str],
    unmeasured: Mapping[str, str],
    started: datetime,
    lost: tuple[np.ndarray, Sums],
) -> UnitSums:
    """Return the sums from the table of units."""
    definition = running.definition
    names = tuple(arm.name for arm in definition.arms)
    logged = np.array(frame["arm"].to_pylist(), dtype=object)
    mixed = logged != np.array(frame["other"].to_pylist(), dtype=object)
    kept = ~mixed & np.isin(logged, names)
    if not kept.any():
        raise InputError(
            f"A scorecard needs exposed listeners. No event since {started:%Y-%m-%d %H:%M} names an arm of "
            f"{definition.name}.",
            "Check that the gateway serves this home and that its journal was collected.",
        )
    assigned = np.array(frame["assigned"].to_pylist(), dtype=object) if "assigned" in frame.column_names else logged
    first = frame["first"].to_numpy()

    before = definition.unit == "user_id" and definition.plan.pre_days > 0
    return UnitSums(
        names,
        np.array([names.index(name) for name in logged[kept]], dtype=np.int64),
        (first[kept] - round(started.timestamp() * 1e6)) // DAY_US,
        read_sums(frame, metrics, kept, before),
        {name: np.array([value or "" for value in frame[name].to_pylist()])[kept] for name in columns},
        int(mixed.sum()),
        int((kept & (assigned != logged)).sum()),
        lost,
        dict(unmeasured),
    )


def read_sums(frame: Any, metrics: Sequence[Metric], kept: np.ndarray, before: bool) -> dict[str, Sums]:
    """Return the sums of metrics from the table of units, for the units to keep; with those from before, if wanted."""

    def values(name: str) -> np.ndarray:
        """A column of sums, 0 where there is none; ones if no such column was summed."""
        if name not in frame.column_names:
            return np.ones(int(kept.sum()))
        return np.nan_to_num(frame[name].to_numpy().astype(float))[kept]

    sums = {}
    numbers = {"events": 0, "requests": 0}
    for metric in metrics:
        prefix = f"{metric.table}{numbers[metric.table]}_"
        numbers[metric.table] += 1
        sums[metric.name] = Sums(*(values(prefix + part) for part in (PARTS if before else PARTS[:2])))
    return sums

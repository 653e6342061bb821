"""What the arms of experiments were truly worth on a simulated day, against which their scorecards are judged."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from events.journal.joins import EXPOSURE
from events.world.live.value import expected
from events.world.live.world import World
from experiments.assignment.assign import Running, time_block
from experiments.metrics.sums import BURN_IN
from workloads.simulation.day import Moment, instant

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # from which the blocks of a switchback are counted
Exposed = dict[str, dict[str, tuple[str, datetime]]]  # experiment -> listener -> arm and time of the first exposure


def worth(
    world: World, day: int, moments: Sequence[Moment], events: pa.Table, experiments: Sequence[Running]
) -> dict[str, dict[str, Any]]:
    """Return the exact expected outcomes of the pages that the listeners of each arm were shown on a day.

    What an arm was worth is thus known without the chance of the responses.

    Args:
        world: The world.
        day: The day, counted from 0.
        moments: What happened, from `replayed`.
        events: The collected events of all days until then.
        experiments: The experiments that run; of one that was stopped, all are treated alike.

    Returns:
        Experiment -> arm -> `listeners` and `pages` of the day, and the expected numbers of `impressions` (items looked
        at), `plays` and `skips`.
    """
    today = world.day(day)
    first = first_exposures(events)
    sums: dict[str, dict[str, Any]] = {}
    for moment in moments:
        user = world.user_ids[moment.visit.user]
        given = [
            (each.definition.name, arm)
            for each in experiments
            if (arm := counted_arm(each, first.get(each.definition.name, {}), user, instant(moment.visit.at)))
        ]
        if not given:
            continue
        outcomes = expected(today, moment.page, np.array([moment.visit.mood]))
        for experiment, arm in given:
            of_arm = sums.setdefault(experiment, {}).setdefault(
                arm, {"listeners": set(), "pages": 0, "impressions": 0.0, "plays": 0.0, "skips": 0.0}
            )
            of_arm["listeners"].add(user)
            of_arm["pages"] += 1
            of_arm["impressions"] += float(outcomes.examined.sum())
            of_arm["plays"] += float((outcomes.examined - outcomes.skip).sum())
            of_arm["skips"] += float(outcomes.skip.sum())
    for arms in sums.values():
        for of_arm in arms.values():
            of_arm["listeners"] = len(of_arm["listeners"])
    return sums


def counted_arm(experiment: Running, first: dict[str, tuple[str, datetime]], user: str, at: datetime) -> str | None:
    """Return the arm for which a page of a listener counts, as in a scorecard; None if it counts for none.

    Pages count from the listener's first exposure on, on all surfaces. Those of testers do not, nor do those at the
    start of a switchback's block. The arm of a switchback is that of the block.

    Args:
        experiment: The experiment.
        first: Arm and time of each listener's first exposure to it.
        user: The listener.
        at: The time of the page.
    """
    definition = experiment.definition
    if user in definition.overrides or user not in first or at < first[user][1]:
        return None
    if definition.unit == "user_id":
        return first[user][0]
    length = timedelta(hours=definition.block_hours)
    if (at - EPOCH) % length < BURN_IN * length:
        return None
    return experiment.arm_of(time_block(at, definition.block_hours))


def first_exposures(events: pa.Table) -> Exposed:
    """Return the arm of each listener in each experiment, and when the listener was first exposed."""
    first: Exposed = {}
    for user, at, arms in exposures(events):
        for experiment, arm in json.loads(arms).items():
            listeners = first.setdefault(experiment, {})
            if user not in listeners or at < listeners[user][1]:
                listeners[user] = (arm, at)
    return first


def exposures(events: pa.Table) -> Iterator[tuple[str, datetime, str]]:
    """Yield listener, time and arms of each event that follows an exposure with arms."""
    if EXPOSURE.name not in events.column_names:
        return
    for row in events.select(["user_id", "ts", EXPOSURE.name]).to_pylist():
        exposure = row[EXPOSURE.name]
        if exposure is not None and exposure["arms"] not in (None, "{}"):
            yield row["user_id"], row["ts"], exposure["arms"]

"""The look at a roll-out: what gateways counted by request, and what was collected from the journal by listener.

Requests, errors and slow answers are those that the gateways counted, so they are there within a second, also where a
request left no exposure. Reward and skips come from collected events, as in experiments: a listener counts from the
first exposure that names the cohort. The reward is the plays of a listener for each request whose page was seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from events.schema import IMPRESSION, PLAY
from experiments.metrics.catalogue import CATALOGUE, did
from experiments.metrics.log import Log
from experiments.metrics.metric import Metric
from experiments.metrics.sums import first_exposures, read_sums, with_sums, within
from experiments.statistics.effects import Sums
from rollout.looks import Look, Seen, Shadowed
from rollout.rollout import Rollout
from surfaces.cohorts.counts import SHADOW, STABLE_SHADOW, Answers

if TYPE_CHECKING:
    import ibis.expr.types as ir

BEFORE = timedelta(days=14)  # whose sums reduce the variance (CUPED)
PLAYS = Metric("plays", "success", True, did(PLAY), None, "Plays of a listener.")
SKIPS = CATALOGUE["skip_rate"]


def seen_requests(rows: "ir.Table") -> "ir.Value":
    """The request of an impression; null for other actions."""
    return (rows.action == IMPRESSION).ifelse(rows.request_id, None)


REQUESTS = Metric("requests", "success", True, seen_requests, None, "Requests whose page was seen.", distinct=True)


@dataclass(frozen=True)
class Listeners:
    """The sums of a cohort's listeners, `[n]`, as in `Seen`."""

    reward: Sums
    skips: Sums


NOBODY = Listeners(*(Sums(*(np.zeros(0) for _ in range(4))) for _ in range(2)))


def look_at(rollout: Rollout, began: datetime, answers: Mapping[str, Answers], log: Log | None, at: datetime) -> Look:
    """Return what was seen of a roll-out until an instant.

    Args:
        rollout: The roll-out.
        began: When it began, UTC.
        answers: What gateways counted, by cohort.
        log: The collected log; None where nothing was imported.
        at: Events from this instant on are not read, UTC.
    """
    listeners = by_listener(log, rollout.salt, began, at) if log else {}
    control, candidate = (
        seen(answers.get(cohort, Answers()), listeners.get(cohort, NOBODY)) for cohort in ("control", "candidate")
    )
    stable, shadow = (answers.get(name, Answers()) for name in (STABLE_SHADOW, SHADOW))
    return Look(
        control, candidate, Shadowed(shadow.requests, (stable.errors, shadow.errors), (stable.slow, shadow.slow))
    )


def seen(answers: Answers, listeners: Listeners) -> Seen:
    """Return what was seen of a cohort."""
    return Seen(answers.requests, answers.errors, answers.slow, answers.newest, listeners.reward, listeners.skips)


def by_listener(log: Log, salt: str, began: datetime, at: datetime) -> dict[str, Listeners]:
    """Return the sums of the listeners of each cohort."""
    import ibis

    if "exposure" not in log.events.columns:
        return {}
    rows = within(log.events, began - BEFORE, at)
    rows = rows.mutate(arms=rows.exposure["arms"])
    exposed = ibis.memtable(first_exposures(rows, salt, began).to_pyarrow())  # read once, used often
    metrics = (PLAYS, REQUESTS, SKIPS)
    frame = with_sums(log, rows, exposed, metrics, began, at, began - BEFORE).order_by("user_id").to_pyarrow()
    cohorts = np.array(frame["arm"].to_pylist(), dtype=object)
    sums = read_sums(frame, metrics, np.ones(len(cohorts), bool), before=True)
    plays, requests = sums[PLAYS.name], sums[REQUESTS.name]
    reward = Sums(plays.numerator, requests.numerator, plays.before_numerator, requests.before_numerator)
    return {
        cohort: Listeners(reward.take(cohorts == cohort), sums[SKIPS.name].take(cohorts == cohort))
        for cohort in ("control", "candidate")
    }

"""The decision to retrain: a function of the reports of windows, the decisions and the trainings so far, and the rules.

The decisions so far are its only memory, so a process that was killed decides the same when it starts again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

from pydantic import AwareDatetime, ConfigDict
from pydantic.dataclasses import dataclass

from monitoring.report import Report
from monitoring.rules import Rules

Action = Literal["retrain", "wait", "hold", "call a person"]
WEEK = timedelta(days=7)
DOUBLED = 6  # times that the cool-down doubles at most
SCHEDULE = "schedule"  # the cause of a training that no check asked for


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Decision:
    """What was decided about retraining.

    Args:
        at: When, UTC, in whole seconds as the names of runs have them.
        action: `retrain`; `wait` for more windows or for something to end; `hold` while the data are not to be
            trusted; `call a person`, because trainings do not help.
        reason: Why, in one sentence.
        cause: What the newest report names as the cause, or `schedule`; None without either.
        until: The end of the newest window that was reported; None without a report.
    """

    at: AwareDatetime
    action: Action
    reason: str
    cause: str | None = None
    until: AwareDatetime | None = None

    def to_dict(self) -> dict[str, str | None]:
        """The decision as JSON types."""
        return {
            "action": self.action,
            "cause": self.cause,
            "reason": self.reason,
            "at": self.at.isoformat(),
            "until": self.until.isoformat() if self.until else None,
        }


@dataclass(frozen=True)
class Training:
    """A run of the training pipeline, whoever started it.

    Args:
        started: When, UTC.
        status: As `workloads.outcome.outcome` says it, or `running`.
    """

    started: datetime
    status: str


def decide(
    reports: Sequence[Report],
    history: Sequence[Decision],
    trainings: Sequence[Training],
    rules: Rules,
    at: datetime,
    busy: str = "",
) -> Decision:
    """Decide whether to retrain.

    A failed check that asks for an alert only holds everything. Otherwise a retraining is due if a check failed in
    enough windows in a row, if the schedule says so, or if a decision to retrain was not carried out to its end, as
    after a crash. It then waits for what is at work, for the cool-down and for the budget. No report leads to two
    retrainings: those that an earlier decision to retrain saw, or that ended before a pushed training began, count no
    more.

    Args:
        reports: The newest reports, oldest first.
        history: The decisions so far, oldest first.
        trainings: The runs of the training pipeline, oldest first.
        rules: The rules.
        at: The time now, UTC.
        busy: What a training would disturb besides another training, such as a roll-out that runs.
    """
    at = at.replace(microsecond=0)
    newest = reports[-1] if reports else None
    cause = newest.cause if newest else None

    def decided(action: Action, reason: str, why: str | None = cause) -> Decision:
        return Decision(at, action, reason, why, newest.current[1] if newest else None)

    if newest and any(check.response == "alert" for check in newest.failed):
        return decided("hold", f"No training while this lasts: {newest.reason}")
    if any(training.status == "running" for training in trainings):
        busy = "A training is at work."
    if busy:
        return decided("wait", busy)
    scheduled = next_scheduled(trainings, rules)
    unfinished = unfinished_retraining(history, trainings)
    if unfinished:
        reason, why = unfinished.reason, unfinished.cause
    elif failed := failed_in_a_row(reports, used_until(history, trainings), rules):
        often = f"failed in {min(failed.values())} windows in a row"
        reason, why = f"{' and '.join(failed)} {often}. {reports[-1].reason}", cause
    elif scheduled and at >= scheduled:
        reason, why = f"The last training began {days_between(trainings[-1].started, at)} ago.", SCHEDULE
    else:
        names = " and ".join(check.name for check in newest.failed) if newest else ""
        now = f"{names} failed, which asks for no training yet." if names else "Nothing asks for a training."
        later = f"The schedule asks for one on {scheduled:%Y-%m-%d %H:%M} UTC." if scheduled else "None was run so far."
        return decided("wait", f"{now} {later}")
    asked = None if unfinished else last_asked_by_checks(history)
    if hindrance := hindered(asked, trainings, rules, at, overdue=bool(scheduled and at >= scheduled)):
        action, because = hindrance
        return decided(action, f"{because} Asked for because: {reason}", why)
    until = unfinished.until if unfinished else newest.current[1] if newest else None
    return Decision(at, "retrain", reason, why, until)


def unfinished_retraining(history: Sequence[Decision], trainings: Sequence[Training]) -> Decision | None:
    """Return the last decision to retrain, unless a training since then was pushed or stopped by a gate."""
    last = next((each for each in reversed(history) if each.action == "retrain"), None)
    ended = last and any(each.started >= last.at and each.status in ("pushed", "stopped") for each in trainings)
    return None if ended else last


def used_until(history: Sequence[Decision], trainings: Sequence[Training]) -> datetime | None:
    """Return the time up to which windows have led to a training; None if none have."""
    used = [each.until for each in history if each.action == "retrain" and each.until]
    used += [each.started for each in trainings if each.status == "pushed"]
    return max(used, default=None)


def failed_in_a_row(reports: Sequence[Report], used: datetime | None, rules: Rules) -> dict[str, int]:
    """Return the checks that ask for a retraining and failed in as many windows in a row as their kind needs.

    Windows with more than a week between them that nobody checked are not in a row.

    Returns:
        The windows that each needs, by name.
    """
    fresh = [report for report in reports if used is None or report.current[1] > used]
    for place, (before, after) in reversed(list(enumerate(pairwise(fresh), 1))):
        if after.current[0] - before.current[1] > WEEK:
            fresh = fresh[place:]
            break
    asking = [
        {check.name: check for check in report.failed if check.response == "retrain"}
        # A window of an outage says nothing about listeners.
        if all(check.response == "retrain" for check in report.failed)
        else {}
        for report in fresh
    ]
    newest = asking[-1] if asking else {}
    return {
        name: needed
        for name, check in newest.items()
        if (needed := rules.windows.get(check.kind)) is not None
        and len(asking) >= needed
        and all(name in window for window in asking[-needed:])
    }


def next_scheduled(trainings: Sequence[Training], rules: Rules) -> datetime | None:
    """Return when the schedule asks for a training; None before the first one, which a person starts."""
    return trainings[-1].started + timedelta(days=rules.schedule_days) if trainings else None


def last_asked_by_checks(history: Sequence[Decision]) -> datetime | None:
    """Return when checks last led to a decision to retrain; None if they never did."""
    return next((each.at for each in reversed(history) if each.action == "retrain" and each.cause != SCHEDULE), None)


def hindered(
    asked: datetime | None, trainings: Sequence[Training], rules: Rules, at: datetime, overdue: bool
) -> tuple[Action, str] | None:
    """Return what keeps a training that is due from starting, and why; None if nothing does.

    Args:
        asked: When checks last asked for a training; None where there is no cool-down to wait for.
        trainings: The runs of the training pipeline, oldest first.
        rules: The rules.
        at: The time now, UTC.
        overdue: Whether the schedule asks for it, too: it waits for the budget alone.
    """
    refused = refusals(trainings)
    if refused >= rules.refusals and not overdue:
        return (
            "call a person",
            f"None of the last {refused} trainings was pushed; the last one: {trainings[-1].status}.",
        )
    ready = asked and asked + timedelta(days=rules.cooldown_days) * 2 ** min(refused, DOUBLED)
    if ready and at < ready and not overdue:
        return "wait", f"The cool-down ends on {ready:%Y-%m-%d %H:%M} UTC."
    recent = sum(training.started > at - WEEK for training in trainings)
    if recent >= rules.a_week:
        return "wait", f"The budget of {rules.a_week} trainings in seven days is spent."
    return None


def refusals(trainings: Sequence[Training]) -> int:
    """Return the number of trainings since the last one that was pushed."""
    return next((i for i, each in enumerate(reversed(trainings)) if each.status == "pushed"), len(trainings))


def days_between(start: datetime, end: datetime) -> str:
    """Return a time in whole days as text."""
    days = (end - start).days
    return f"{days} day{'' if days == 1 else 's'}"

"""The loop of a simulation: after each day it watches, decides, trains, and looks at the roll-out, as in production."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from segue.errors import InputError
from segue.settings import Home

if TYPE_CHECKING:
    from monitoring.rules import Rules
    from rollout.plan import Plan
    from workloads.simulation.actions import Action, Actions

WORSE = "worse model"  # the kind of the action that pushes one
Train = Callable[[datetime, str], dict[str, Any]]  # at an instant, for a reason


def after_day(
    home: Home, rules: "Rules", plan: "Plan", train: Train, at: datetime, first: datetime, actions: "Actions"
) -> None:
    """Steer the loop at the end of a day. Killed and called again, it goes on.

    Args:
        home: The home, whose journal is collected.
        rules: When a training is decided.
        plan: How its models are rolled out.
        train: Trains and pushes; returns `run`, `status` and `reason`.
        at: The end of the day, UTC.
        first: The begin of the first day, when the first models count as trained.
        actions: Those of the day.
    """
    from pipelines.run_state import state
    from rollout.controller import step
    from rollout.waiting import try_waiting
    from workloads.monitoring import decide, watch
    from workloads.monitoring.monitor import roll_out

    step(home, at, plan=plan)  # looks at the roll-out that runs, or starts that of a candidate that waits
    actions.add(*moved(home, at))
    try:
        report = watch.step(home, at)
        kind = "noticed" if report.cause else "watch"
        actions.add({"kind": kind, "reason": report.reason, "cause": report.cause})
    except InputError as too_short:  # the first days of a simulation
        actions.add({"kind": "watch", "reason": too_short.headline, "cause": None})
    decision = decide.step(home, rules, at, state, roll_out(home), first)
    if not actions.training_is_due:  # else it was decided before a kill, and may have ended since
        actions.add({"kind": decision.action, "reason": decision.reason, "cause": decision.cause})
    if actions.training_is_due:
        actions.add(training(train(at, decision.reason)))
    try_waiting(home.models, plan, at)
    actions.add(*moved(home, at))


def training(ended: dict[str, Any]) -> "Action":
    """Return a training that ended as what the loop did."""
    kept = {name: ended[name] for name in ("run", "status", "reason")}
    return {"kind": "pushed" if ended["status"] == "pushed" else "refused", **kept}


def ended_at(home: Home, at: datetime) -> dict[str, Any] | None:
    """Return how a training ended that began at an instant; None if none did. A killed simulation may not know it."""
    from workloads.outcome import outcome

    runs = [run for run in home.run_folders() if run.path.name.startswith(f"training-{at:%Y%m%dT%H%M%S}")]
    return next((end for end in map(outcome, reversed(runs)) if end["status"] in ("pushed", "stopped")), None)


def moved(home: Home, at: datetime) -> "list[Action]":
    """Return what happened to roll-outs at an instant, and a decision about one that changed nothing."""
    from rollout.state_file import read

    state = read(home.models)
    records = [record for record in state.history if record.at == at]
    if state.last is not None and state.last.at == at and state.last not in records:
        records.append(state.last)
    return [{"kind": record.action, "reason": record.reason, "share": record.share} for record in records]


def release(served: Home, file: Path, at: datetime) -> None:
    """Add the items of a file to the models of a home."""
    from events.importers.own.dialects import Dialect
    from rollout.added_items import add_items
    from rollout.moves import SEGUE

    add_items(served, [file], at, {}, Dialect(), SEGUE, lambda: at)


def push_worse(home: Home) -> "Action":
    """Push a deliberately worse candidate to `canary`."""
    from workloads.simulation.rivals.worse import push_worse

    with TemporaryDirectory(prefix="segue-worse-") as folder:
        version = push_worse(home, Path(folder))
    return {"kind": WORSE, "reason": f"Version {version} ranks the worst first.", "version": version}

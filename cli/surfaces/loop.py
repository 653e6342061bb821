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
    from rollout.state_file import State

Did = list[dict[str, Any]]  # what the loop did, in order: `kind` and `reason` of each, and what else it has
Train = Callable[[datetime, str], dict[str, Any]]  # at an instant, for a reason


def after_day(home: Home, rules: "Rules", plan: "Plan", train: Train, at: datetime, first: datetime) -> Did:
    """Steer the loop at the end of a day, and return what it did.

    Args:
        home: The home, whose journal is collected.
        rules: When a training is decided.
        plan: How its models are rolled out.
        train: Trains and pushes; returns `run`, `status` and `reason`.
        at: The end of the day, UTC.
        first: The begin of the first day, when the first models count as trained.
    """
    from pipelines.run_state import state
    from workloads.monitoring import decide, watch
    from workloads.monitoring.monitor import roll_out

    did = looked(home, plan, at)
    try:
        report = watch.step(home, at)
        did.append({"kind": "noticed" if report.cause else "watch", "reason": report.reason, "cause": report.cause})
    except InputError as too_short:  # the first days of a simulation
        did.append({"kind": "watch", "reason": too_short.headline, "cause": None})
    decision = decide.step(home, rules, at, state, roll_out(home), first)
    did.append({"kind": decision.action, "reason": decision.reason, "cause": decision.cause})
    if decision.action == "retrain":
        did.append(training(train(at, decision.reason)))
    return did + begun(home, plan, at)


def training(ended: dict[str, Any]) -> dict[str, Any]:
    """Return a training that ended as what the loop did."""
    return {"kind": "pushed" if ended["status"] == "pushed" else "refused", **ended}


def looked(home: Home, plan: "Plan", at: datetime) -> Did:
    """Look at the roll-out that runs, or start that of a candidate that waits, and carry out what that shows."""
    from rollout.controller import step
    from rollout.state_file import read

    before = read(home.models)
    return news(before, step(home, at, plan=plan))


def begun(home: Home, plan: "Plan", at: datetime) -> Did:
    """Start the roll-out of a candidate that waits."""
    from rollout.state_file import read
    from rollout.waiting import try_waiting

    before = read(home.models)
    return news(before, try_waiting(home.models, plan, at))


def news(before: "State", after: "State") -> Did:
    """Return what happened to roll-outs between two states, and a decision that changed nothing."""
    records = list(after.history[len(before.history) :])
    if after.last is not None and after.last != before.last and after.last not in records:
        records.append(after.last)
    return [{"kind": record.action, "reason": record.reason, "share": record.share} for record in records]


def release(served: Home, file: Path, at: datetime) -> None:
    """Add the items of a file to the models of a home."""
    from events.importers.own.dialects import Dialect
    from rollout.added_items import add_items
    from rollout.moves import SEGUE

    add_items(served, [file], at, {}, Dialect(), SEGUE, lambda: at)


def push_worse(home: Home) -> dict[str, Any]:
    """Push a deliberately worse candidate to `canary`."""
    from workloads.simulation.rivals.worse import push_worse

    with TemporaryDirectory(prefix="segue-worse-") as folder:
        version = push_worse(home, Path(folder))
    return {"kind": "worse model", "reason": f"Version {version} ranks the worst first.", "version": version}

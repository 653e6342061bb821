"""What it means that all states of a home agree."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from monitoring.state_file import read as read_retraining
from rollout.moves import wanted
from rollout.state_file import read
from rollout.waiting import waits
from segue.files import TEMPORARY
from segue.settings import Home
from serving.store import model_store
from serving.store.versions import CANARY, STABLE
from tests.faults.checks import store_faults
from workloads.operating import agree
from workloads.operating.decisions import BEGUN, decisions

MOVING = ("starting", "promoting", "taking back", "draining")


def disagreements(home: Home, untidied: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield what disagrees or is half done in a home in which nothing is at work, a sentence each.

    The labels of all models name whole versions and are where the roll-out wants them; no candidate waits; each move
    that a roll-out made has one record; the runs that labels name have drift references and are what MLflow's aliases
    name; MLflow has each run and decision once, and all of them; nothing is unfinished.

    Args:
        home: the home.
        untidied: folders in which unfinished files do not count.
    """
    yield from store_faults(home)
    labels, state = model_store.labels(home.models), read(home.models)
    rollout = state.rollout
    if rollout is not None and (rollout.phase in MOVING or rollout.replaced is not None):
        yield f"the roll-out is {rollout.phase}, and has replaced {rollout.replaced}"
    if rollout is not None and wanted(rollout, labels) != labels:
        yield f"the labels are {labels}, and the roll-out is {rollout.phase}"
    if waits(state, labels):
        yield f"nobody tries the candidate: {labels}"
    yield from history_faults(home)
    yield from tracking_faults(home)
    for path in home.root.rglob("*"):
        name = path.relative_to(home.root).as_posix()
        if path.name.startswith((TEMPORARY, BEGUN)) and not name.startswith(untidied or ("/",)):
            yield f"unfinished: {name}"


def history_faults(home: Home) -> Iterator[str]:
    """Yield what is wrong with the records of roll-outs: each begins once and ends once."""
    state = read(home.models)
    recorded = [(each["action"], each["at"]) for each in decisions(home)]
    for number in {each.rollout for each in state.history}:
        actions = [each.action for each in state.history if each.rollout == number]
        twice = {each for each in actions if actions.count(each) > 1} - {"ramp", "hold", "resume"}
        if twice:
            yield f"roll-out {number} has {twice} more than once: {actions}"
    for each in state.history:
        if each.action in ("start", "promote", "take back") and recorded.count((each.action, each.at.isoformat())) != 1:
            yield f"the decision to {each.action} of roll-out {each.rollout} has not one record: {recorded}"


def tracking_faults(home: Home) -> Iterator[str]:
    """Yield what is wrong with what MLflow has, and with the drift references."""
    of_labels = agree.labelled_runs(home.models)
    for run in {run for of in of_labels.values() for run in of.values()}:
        if not home.reference(run).is_file():
            yield f"the drift reference of {run} is missing"
    for folder in home.run_folders():
        if folder.unsent.exists():
            yield f"{folder.path.name} is not sent to MLflow"
    for model, of in of_labels.items():
        wanted_aliases = {alias: of[label] for alias, label in agree.ALIASES.items() if label in of}
        aliases, registered = registry(home, f"segue-{model}")
        if aliases != wanted_aliases:
            yield f"MLflow's aliases of {model} are {aliases}, the labels say {wanted_aliases}"
        if len(registered) != len(set(registered)):
            yield f"MLflow has two versions of one run of {model}: {registered}"
    names = tracked(home)
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"MLflow has {name} {names.count(name)} times"
    retraining = read_retraining(home.retraining)
    sent = sum(name.startswith("decision-") for name in names)
    if not sent == retraining.tracked == len(retraining.history):
        yield f"of {len(retraining.history)} decisions {retraining.tracked} count as sent, and MLflow has {sent}"


def registry(home: Home, name: str) -> tuple[dict[str, str], list[str]]:
    """Return the run that each alias of a registered model names, and the runs of its versions, from the database."""
    with closing(sqlite3.connect(home.tracking_database)) as database:
        of_version = dict(
            database.execute("select version, value from model_version_tags where key = 'run_id' and name = ?", [name])
        )
        named = database.execute("select alias, version from registered_model_aliases where name = ?", [name])
        return {alias: of_version[version] for alias, version in named}, sorted(of_version.values())


def tracked(home: Home) -> list[str]:
    """Return the names of the runs that MLflow has, without those that it has removed."""
    with closing(sqlite3.connect(home.tracking_database)) as database:
        return [name for (name,) in database.execute("select name from runs where lifecycle_stage = 'active'")]


def summary(home: Home) -> dict[str, Any]:
    """Return the state of a home without what differs between two runs of a command: version numbers and times."""
    labels, state = model_store.labels(home.models), read(home.models)
    rollout, retraining = state.rollout, read_retraining(home.retraining)
    return {
        "candidate": sorted(model for model, names in labels.items() if names.get(CANARY) != names.get(STABLE)),
        "labels": {model: sorted(names) for model, names in labels.items()},
        "stable": {model: names.get(STABLE) for model, names in labels.items()},
        "rollout": rollout and (rollout.number, rollout.phase, rollout.stage),
        "history": [(each.rollout, each.action) for each in state.history],
        "records": sorted((each["action"], each["label"]) for each in decisions(home)),
        "retraining": [(each.action, each.reason) for each in retraining.history],
        "told": (retraining.tracked, retraining.alerted),
    }

"""Add items to what is stable and to the candidate beside it, so that a roll-out goes on while the catalogue grows."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from events.importers.own.dialects import Dialect
from rollout import moves
from rollout.rollout import Versions
from rollout.state_file import read
from segue.errors import UnavailableError
from segue.settings import Home
from serving.store import model_store, moving
from serving.store.label_file import Labels
from serving.store.moving import Announce
from serving.store.versions import CANARY, STABLE
from stores import parts
from workloads.add_items import Copies, copy_with_items
from workloads.operating.decisions import record_cut_off


def add_items(
    home: Home,
    files: Sequence[Path],
    age_at: datetime | None,
    mapping: Mapping[str, str],
    dialect: Dialect,
    by: str,
    clock: Callable[[], datetime],
    announce: Announce | None = None,
) -> dict[str, Any]:
    """Push the stable models and the candidate's with the items of files, and move `stable` and `canary` to them.

    A command that was cut off is finished first. In a roll-out both sides change in one move, and it goes on.

    Args:
        home: The home with the newest models.
        files: Files and folders with a table of items, as an import takes them.
        age_at: The time at which the items' age is taken, UTC; None for the end of the imported log.
        mapping: Our columns to those of the files.
        dialect: What the caller knows about text files.
        by: Who adds the items.
        clock: The time now, UTC. It is asked again once the models are copied, which takes a while.
        announce: Moves the labels of a running server first; None writes the files only.

    Returns:
        `version`, the new stable version, and `candidate`, the new version of the candidate, or None; and `added`,
        `updated`, `free` and `notes` as `copy_with_items` returns them.

    Raises:
        InputError: Nothing is served yet, or a file breaks a rule; or the stable version is not the control of the
            roll-out that runs.
        UnavailableError: The labels or the roll-out were changed meanwhile. No label has moved.
        SegueError: The server refused. In a roll-out the next command moves the labels.
    """
    root = home.models
    rollout = moves.settle(root, clock(), announce).rollout
    if rollout is not None and rollout.active:
        moves.check_comparison(rollout, model_store.labels(root))
        before = {STABLE: rollout.control, CANARY: rollout.candidate}
    else:
        before = labelled(model_store.labels(root))
    with TemporaryDirectory(prefix="segue-add-items-") as folder:
        copies, result = copy_with_items(home, before[CANARY], files, age_at, mapping, dialect, Path(folder))
        after = parts.change(home, parts.MODELS, partial(pushed, root, copies))

    def relabel() -> None:
        record_cut_off(root)
        moving.relabel(root, lambda now: relabelled(now, before, after), announce)

    rollout = read(root).rollout
    if rollout is not None and not rollout.ended and rollout.phase not in moves.BACK:
        why = f"{len(result['added'])} items added, {len(result['updated'])} replaced"
        moves.add_items(root, before, after, why, by, clock(), announce)
    else:
        parts.change(home, parts.MODELS, relabel)
    version, candidate = (max(after[label].values(), default=None) for label in (STABLE, CANARY))
    return {"version": version, "candidate": candidate, **result}


def pushed(root: Path, copies: Copies) -> dict[str, Versions]:
    """Push copies without a label, and return their versions by label and model."""
    # The candidate's number is the higher one, so that a rollback from it finds the stable version below it.
    return {
        label: dict.fromkeys(models, model_store.push(root, models, label=None)) if models else {}
        for label, models in copies.items()
    }


def labelled(labels: Labels) -> dict[str, Versions]:
    """Return what is stable, by model, and the candidate beside it."""
    stable = {model: names[STABLE] for model, names in labels.items() if STABLE in names}
    canary = {model: names[CANARY] for model, names in labels.items() if CANARY in names}
    return {
        STABLE: stable,
        CANARY: {model: version for model, version in canary.items() if stable.get(model) != version},
    }


def relabelled(now: Labels, before: Mapping[str, Versions], after: Mapping[str, Versions]) -> Labels:
    """Return labels that name the versions with the items.

    Raises:
        UnavailableError: The labels are not those that the items were added to.
    """
    if labelled(now) != before:
        raise UnavailableError(
            "Items are added to the versions that are stable and canary. Other versions became so in the meantime.",
            "Run the command again.",
        )
    for label in (STABLE, CANARY):
        for model, version in after[label].items():
            moving.point(now[model], label, version)
    return now

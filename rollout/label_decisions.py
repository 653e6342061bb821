"""A person's decisions on the labels of models: beside a roll-out they are decisions about it."""

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from rollout import moves
from rollout.decision import Action, Decision
from rollout.move_record import decision_of
from rollout.rollout import Rollout
from rollout.state_file import read
from segue.errors import InputError, UnavailableError
from segue.files import read_json
from segue.settings import Home
from serving.store import model_store
from serving.store.chosen_versions import canaries, having
from serving.store.moving import Announce
from serving.store.versions import CANARY, STABLE
from stores import parts
from workloads.operating.decisions import decide, name_of

UNSAID = "Nobody said why."


def promote(
    home: Home, version: int | None, label: str, why: str, by: str, at: datetime, announce: Announce | None = None
) -> dict[str, Any]:
    """Point a label at a version, and return the recorded decision. The candidate of a roll-out ends it as promoted.

    Args:
        home: The home.
        version: The version; None for the candidate.
        label: The label.
        why: The reason; empty if none was given.
        by: Who decides.
        at: The time now, UTC.
        announce: Moves the labels of a running server first; None writes the files only.

    Raises:
        InputError: As `model_store.promote`; or a roll-out compares its candidate with what is stable.
        UnavailableError: Another decision came meanwhile.
        SegueError: The server refused.
    """

    rollout = read(home.models).rollout
    if rollout is not None and rollout.phase == "taking back":
        moves.settle(home.models, at, announce)  # it was cut off, and would undo this move later
    trial = trial_of(home)
    if trial is None or label not in (STABLE, CANARY):
        root = home.models
        promoted = partial(model_store.promote, root, version, label, announce)

        def decided() -> dict[str, Any]:
            return decide(home, "promote", lambda: (label, promoted()), why, by, at, (label, goal(root, version)))

        return parts.change(home, parts.MODELS, decided)
    if label != STABLE or version not in (None, *trial.candidate.values()):
        raise InputError(
            f"Roll-out {trial.number} compares {moves.named(trial.candidate)} with what is stable. The label {label} "
            "does not move meanwhile.",
            "End the roll-out first: `segue rollout promote` or `segue rollout abort`.",
        )
    return act(home, "promote", why, by, at, announce)


def roll_back(home: Home, why: str, by: str, at: datetime) -> dict[str, Any]:
    """Take the candidate back if there is one, else move `stable` back, and return the recorded decision.

    No server is told: `models.config` is written at once, whatever is at work.

    Args: As `promote`.

    Raises:
        InputError: As `model_store.rollback`.
    """

    if trial_of(home) is not None:
        return act(home, "take back", why, by, at)
    back = partial(model_store.rollback, home.models)
    return parts.change(home, parts.MODELS, partial(decide, home, "rollback", back, why, by, at))


def goal(root: Path, version: int | None) -> dict[str, int]:
    """Return where a promotion moves a label: to a version, or to the canary of each model that has one."""
    try:
        return canaries(root, model_store.labels(root)) if version is None else having(root, version)
    except InputError:
        return {}  # the promotion says what is wrong


def trial_of(home: Home) -> Rollout | None:
    """Return the roll-out whose candidate is tried; None if none is, or it is taken back already."""
    rollout = read(home.models).rollout
    return None if rollout is None or rollout.ended or rollout.phase in moves.BACK else rollout


def act(
    home: Home, action: Action, why: str, by: str, at: datetime, announce: Announce | None = None
) -> dict[str, Any]:
    """Carry out a person's decision about the roll-out, and return the record of its move.

    Raises:
        UnavailableError: Another decision came before the labels had moved.
        InputError, SegueError: As `moves.act`.
    """
    state = moves.act(home.models, Decision(action, why or UNSAID), by, at, announce)
    parts.bring(home, parts.MODELS)  # another command may have moved the labels, and recorded it
    record = home.decisions / name_of(decision_of(state, action).at, action)
    if not record.is_file():
        assert state.rollout is not None
        raise UnavailableError(
            f"Roll-out {state.rollout.number} is {state.rollout.phase}: another decision came meanwhile.",
            "Look at it with `segue rollout history`, and decide again.",
        )
    return read_json(record)

"""A person's decisions on the labels of models: beside a roll-out they are decisions about it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rollout import moves
from rollout.decision import Action, Decision
from rollout.rollout import Rollout
from rollout.state_file import read
from segue.errors import InputError
from segue.settings import Home
from serving.store import model_store
from serving.store.moving import Announce
from serving.store.versions import CANARY, STABLE
from workloads.operating.decisions import decide

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
        SegueError: The server refused.
    """

    trial = trial_of(home)
    if trial is None or label not in (STABLE, CANARY):

        def move() -> tuple[str, Mapping[str, int | None]]:
            return label, model_store.promote(home.models, version, label, announce)

        return decide(home, "promote", move, why, by, at)
    if label != STABLE or version not in (None, *trial.candidate.values()):
        raise InputError(
            f"Roll-out {trial.number} compares {moves.named(trial.candidate)} with what is stable. The label {label} "
            "does not move meanwhile.",
            "End the roll-out first: `segue rollout promote` or `segue rollout abort`.",
        )
    act(home, "promote", why, by, at, announce)
    return decide(home, "promote", lambda: (STABLE, trial.candidate), why, by, at)


def roll_back(home: Home, why: str, by: str, at: datetime) -> dict[str, Any]:
    """Take the candidate back if there is one, else move `stable` back, and return the recorded decision.

    No server is told: `models.config` is written at once, whatever is at work.

    Args: As `promote`.

    Raises:
        InputError: As `model_store.rollback`.
    """

    trial = trial_of(home)
    if trial is None:
        return decide(home, "rollback", lambda: model_store.rollback(home.models), why, by, at)
    act(home, "take back", why, by, at)

    def back() -> tuple[str, Mapping[str, int | None]]:
        labels = model_store.labels(home.models)
        return CANARY, {model: labels.get(model, {}).get(CANARY) for model in trial.candidate}

    return decide(home, "rollback", back, why, by, at)


def trial_of(home: Home) -> Rollout | None:
    """Return the roll-out whose candidate is tried; None if none is, or it is taken back already."""
    rollout = read(home.models).rollout
    return None if rollout is None or rollout.ended or rollout.phase in moves.BACK else rollout


def act(home: Home, action: Action, why: str, by: str, at: datetime, announce: Announce | None = None) -> None:
    """Carry out a person's decision about the roll-out."""
    moves.act(home.models, Decision(action, why or UNSAID), by, at, announce)

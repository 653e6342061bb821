"""The state of roll-outs, which `serving.rollouts.kept_state` keeps: written whole, and by one process at a time.

It also holds the `split`, which follows from the state and is all that gateways read (`serving/store/split.py`). Taking
a candidate back begins with this write alone.
"""

import contextlib
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import AwareDatetime, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from rollout.plan import FORBID
from rollout.rollout import Rollout
from segue.errors import InputError
from segue.yaml_settings import AtLeast1, yaml_path
from serving.rollouts.kept_state import RESTORE, StateKeeping, state_keeping

SCHEMA: Final = 1


@dataclass(frozen=True, config=FORBID)
class Record:
    """Something that happened to a roll-out.

    Args:
        rollout: Its number.
        at: When, UTC.
        action: The decision or the move.
        by: The person, or `segue`.
        reason: Why, in one sentence.
        share: The candidate's share of the listeners from then on.
    """

    rollout: AtLeast1
    at: AwareDatetime
    action: str
    by: str
    reason: str
    share: float


@dataclass(frozen=True, config=FORBID)
class State:
    """The newest roll-out and what happened to all.

    Args:
        schema: The version of this format.
        rollout: The newest roll-out, also after its end; None before the first.
        history: All that changed a roll-out, oldest first. It only grows.
        last: The newest decision about the newest roll-out, also one that changed nothing.
    """

    schema: Literal[1] = SCHEMA
    rollout: Rollout | None = None
    history: tuple[Record, ...] = ()
    last: Record | None = None

    @property
    def began(self) -> datetime:
        """When the newest roll-out was started, UTC."""
        assert self.rollout is not None
        return next(record.at for record in self.history if record.rollout == self.rollout.number)

    def recorded(self, rollout: Rollout, action: str, by: str, reason: str, at: datetime) -> "State":
        """Return the state with another roll-out and a record of why."""
        record = Record(rollout.number, at, action, by, reason, rollout.share)
        return replace(self, rollout=rollout, history=(*self.history, record), last=record)

    def noted(self, rollout: Rollout, action: str, by: str, reason: str, at: datetime) -> "State":
        """Return the state with a decision that changes nothing that listeners see: the history stays."""
        return replace(self, rollout=rollout, last=Record(rollout.number, at, action, by, reason, rollout.share))

    def to_dict(self) -> dict[str, Any]:
        """The state as JSON types."""
        return asdict(self)  # type: ignore[call-overload]


def read(root: Path) -> State:
    """Return the state in a model store; an empty one before the first roll-out.

    Raises:
        InputError: It is damaged or was written by a newer version of Segue.
        UnavailableError: The server that keeps it does not answer.
    """
    with contextlib.closing(state_keeping(root)) as keeping:
        return parsed(keeping.state(), keeping)


def parsed(values: Any, keeping: StateKeeping) -> State:
    """Return the state from the JSON types that a keeping has.

    Raises:
        InputError: As `read`.
    """
    if values is None:
        return State()
    schema = None
    if isinstance(values, dict):
        values.pop("split", None)
        schema = values.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise InputError(
            f"{keeping.place} has the format {SCHEMA} in this version of Segue. It has {schema}.",
            "Use the newer version.",
        )
    try:
        state = TypeAdapter(State).validate_python(values)
    except ValidationError as refused:
        first = refused.errors()[0]
        raise InputError(
            f"{keeping.place} must be the state of roll-outs. "
            f"{yaml_path(first['loc'], '') or 'The file'}: {first['msg']}.",
            RESTORE,
        ) from None
    if state.rollout and not any(record.rollout == state.rollout.number for record in state.history):
        raise InputError(
            f"{keeping.place} must be the state of roll-outs. history: it says when roll-out {state.rollout.number} "
            "was started. It has no record of it.",
            RESTORE,
        )
    return state


def change(root: Path, edit: Callable[[State], State]) -> State:
    """Replace the state by what `edit` makes of it, and return the new one. One process at a time does so.

    Raises:
        InputError: As `read`, or raised by `edit`: nothing is written.
        UnavailableError: As `read`; a server may have written what it did not acknowledge.
    """
    after = State()

    def edited(values: Any) -> dict[str, Any] | None:
        nonlocal after
        before = parsed(values, keeping)
        after = edit(before)
        if after == before:
            return None
        return {**after.to_dict(), "split": asdict(after.rollout.split) if after.rollout else None}

    with contextlib.closing(state_keeping(root)) as keeping:
        keeping.change(edited)
    return after

"""The state of roll-outs: one file in the model store, `rollout.json`, written whole under a lock of its own.

It also holds the `split`, which follows from the state and is all that gateways read (`serving/store/split.py`). The
lock is not the store's, which is held while a server loads versions: taking a candidate back begins with a write of
this file alone.
"""

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
from segue.files import read_json, write_json
from segue.lock import latched
from segue.yaml_settings import AtLeast1, yaml_path
from serving.store.split import NAME

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
        InputError: The file is damaged or was written by a newer version of Segue.
    """
    path = Path(root) / NAME
    try:
        values = read_json(path)
    except FileNotFoundError:
        return State()
    schema = None
    if isinstance(values, dict):
        values.pop("split", None)
        schema = values.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise InputError(
            f"{path} has the format {SCHEMA} in this version of Segue. It has {schema}.", "Use the newer version."
        )
    try:
        return TypeAdapter(State).validate_python(values)
    except ValidationError as refused:
        first = refused.errors()[0]
        raise InputError(
            f"{path} must be the state of roll-outs. {yaml_path(first['loc'], '') or 'The file'}: {first['msg']}.",
            "Restore the file from a copy, or move it away if no roll-out runs.",
        ) from None


def change(root: Path, edit: Callable[[State], State]) -> State:
    """Replace the state by what `edit` makes of it, and return the new one. One process at a time does so.

    Raises:
        InputError: As `read`, or raised by `edit`: nothing is written.
    """
    path = Path(root) / NAME
    with latched(path):
        before = read(root)
        after = edit(before)
        if after != before:
            split = asdict(after.rollout.split) if after.rollout else None
            write_json(path, {**after.to_dict(), "split": split})
    return after

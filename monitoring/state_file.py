"""The state of the loop from reports to trainings: one file, written whole, to which decisions are only added."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from monitoring.retraining import Decision
from segue.errors import InputError
from segue.files import read_json, write_json
from segue.lock import latched
from segue.yaml_settings import AtLeast0, yaml_path

SCHEMA: Final = 1


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class State:
    """All decisions about retraining, and who has been told of them.

    Args:
        schema: The version of this format.
        history: The decisions, oldest first. It only grows.
        tracked: Decisions that MLflow has, counted from the oldest.
        alerted: Decisions whose alerts, if they have one, were delivered, counted from the oldest.
    """

    schema: Literal[1] = SCHEMA
    history: tuple[Decision, ...] = ()
    tracked: AtLeast0 = 0
    alerted: AtLeast0 = 0

    def decided(self, decision: Decision) -> "State":
        """Return the state with a decision; as it is if the decision only says the last one again."""
        if self.history and replace(self.history[-1], at=decision.at) == decision:
            return self
        return replace(self, history=(*self.history, decision))

    def to_dict(self) -> dict[str, Any]:
        """The state as JSON types."""
        return asdict(self)  # type: ignore[call-overload]


def read(path: Path) -> State:
    """Return the state in a file; an empty one before the first decision.

    Raises:
        InputError: The file is damaged or was written by a newer version of Segue.
    """
    try:
        values = read_json(path)
    except FileNotFoundError:
        return State()
    try:
        return TypeAdapter(State).validate_python(values)
    except ValidationError as refused:
        first = refused.errors()[0]
        raise InputError(
            f"{path} must be decisions in the format {SCHEMA}. {yaml_path(first['loc'], '') or 'The file'}: "
            f"{first['msg']}.",
            "Use the version of Segue that wrote it, or restore the file from a copy.",
        ) from None


def change(path: Path, edit: Callable[[State], State]) -> State:
    """Replace the state by what `edit` makes of it, and return the new one. One process at a time does so.

    Raises:
        InputError: As `read`.
    """
    with latched(path):
        before = read(path)
        after = edit(before)
        if after != before:
            write_json(path, after.to_dict())
    return after

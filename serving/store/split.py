"""The split of listeners by the roll-out of a model store: what a gateway must know of it.

It is a part of the state of roll-outs, which belongs to the controller. A gateway reads only this part, so it needs
neither plans nor evidence, and follows a controller of another version.
"""

import contextlib
from dataclasses import field
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from segue.errors import InputError
from segue.yaml_settings import AtLeast0, AtLeast1
from serving.rollouts.kept_state import StateKeeping, state_keeping


def salt_of(number: int) -> str:
    """Return the salt of a roll-out's buckets: new for each, and no name of an experiment, which has no slash."""
    return f"rollout/{number}"


@dataclass(frozen=True, config=ConfigDict(extra="ignore"))
class Split:
    """The split of the newest roll-out.

    Args:
        number: The roll-out's number.
        phase: Its phase, as in `rollout.rollout`.
        share: The candidate's share of the listeners; the control's is as large.
        candidate: The candidate's versions, by model.
        shadow: The share of the requests that are also sent to the candidate, which shows them to nobody.
    """

    number: AtLeast1
    phase: str
    share: Annotated[float, Field(ge=0, le=0.5)]
    candidate: dict[str, AtLeast0] = field(default_factory=dict)
    shadow: Annotated[float, Field(ge=0, le=1)] = 0.0

    @property
    def salt(self) -> str:
        """The salt of its buckets, and its name among the arms of exposures."""
        return salt_of(self.number)

    @property
    def open(self) -> bool:
        """Whether gateways keep the candidate's versions at hand."""
        return self.phase not in ("promoted", "taken back")


def read_split(root: Path) -> Split | None:
    """Return the split of a model store; None before the first roll-out.

    Raises:
        InputError: The state is damaged.
        UnavailableError: The server that keeps it does not answer.
    """
    with contextlib.closing(state_keeping(root)) as keeping:
        return split_of(keeping)


def split_of(keeping: StateKeeping) -> Split | None:
    """Return the split that a keeping has; otherwise as `read_split`."""
    try:
        return TypeAdapter(Split | None).validate_python(keeping.split())
    except ValidationError as refused:
        raise InputError(
            f"{keeping.place} must have the split of a roll-out. {refused.errors()[0]['msg']}.",
            "Look at it with `segue rollout status`.",
        ) from None

"""Moves of labels with their reasons: who promoted or rolled back which version, when and why."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from segue.files import read_json, write_json
from segue.settings import Home
from stores import parts

# Moves a label in the store: the label, and model -> its new version; None where the label was removed.
Move = Callable[[], tuple[str, Mapping[str, int | None]]]


class LabelDecisions(Protocol):
    """A person's decisions on labels: `rollout.label_decisions`, which this room must not import."""

    def promote(self, home: Home, version: int | None, label: str, why: str, by: str, at: datetime) -> dict[str, Any]:
        """Point a label at a version."""

    def roll_back(self, home: Home, why: str, by: str, at: datetime) -> dict[str, Any]:
        """Take the candidate back, or move `stable` back."""


def decide(home: Home, action: str, move: Move, why: str, by: str, at: datetime) -> dict[str, Any]:
    """Move a label of the home's models, or of those that a cluster shares, and record the decision.

    Args:
        home: the home.
        action: `promote`, `rollback` or `drop`.
        move: moves the label.
        why: the reason; empty if none was given.
        by: who decides.
        at: the time now, UTC.

    Returns:
        The record: `at`, `by`, `action`, `label`, `versions` (model -> version, or None) and `why`.

    Raises:
        InputError, UnavailableError: the move or the store refuses. Nothing is recorded then.
    """

    def moved() -> dict[str, Any]:
        label, versions = move()
        record = {
            "at": at.isoformat(),
            "by": by,
            "action": action,
            "label": label,
            "versions": dict(versions),
            "why": why,
        }
        write_json(home.decisions / f"{at:%Y%m%dT%H%M%S.%f}-{action}.json", record)
        return record

    return parts.change(home, parts.MODELS, moved)


def decisions(home: Home) -> list[dict[str, Any]]:
    """Return the decisions on the labels of a home's models, the newest first."""
    return [read_json(path) for path in sorted(home.decisions.glob("[!.]*.json"), reverse=True)]

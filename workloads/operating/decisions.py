"""Moves of labels with their reasons: who promoted or rolled back which version, when and why."""

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from segue.errors import SegueError
from segue.files import atomic_path, json_text, read_json, remove_unfinished, write_json
from segue.settings import DECISIONS, Home
from serving.store import model_store
from serving.store.label_file import Labels
from serving.store.versions import CANARY, STABLE

BEGUN = ".begun-"  # prefix of the file that a move of a label has while it is made
# A label, and model -> its new version; None where the label was removed.
Moved = tuple[str, Mapping[str, int | None]]
Move = Callable[[], Moved]  # moves a label in the store


class LabelDecisions(Protocol):
    """A person's decisions on labels: `rollout.label_decisions`, which this room must not import."""

    def promote(self, home: Home, version: int | None, label: str, why: str, by: str, at: datetime) -> dict[str, Any]:
        """Point a label at a version."""

    def roll_back(self, home: Home, why: str, by: str, at: datetime) -> dict[str, Any]:
        """Take the candidate back, or move `stable` back."""


def decide(
    home: Home, action: str, move: Move, why: str, by: str, at: datetime, goal: Moved | None = None
) -> dict[str, Any]:
    """Move a label of the home's models, record the decision, and return the record.

    If the process is killed between the move and its record, the next command that decides makes the record.

    Args:
        home: the home.
        action: `promote`, `rollback` or `drop`.
        move: moves the label.
        why: the reason; empty if none was given.
        by: who decides.
        at: the time now, UTC.
        goal: what the move returns if it is made; None where only the store knows.

    Returns:
        The record: `at`, `by`, `action`, `label`, `versions` (model -> version, or None) and `why`.

    Raises:
        InputError, UnavailableError: the move or the store refuses. Nothing is recorded then.
    """
    record_cut_off(home.models)
    before = model_store.labels(home.models)
    note = home.decisions / f"{BEGUN}{name_of(at, action)}"
    said = {"at": at.isoformat(), "by": by, "action": action, "why": why, "labels": before, "goal": goal}
    with begun(note, said) if before else nullcontext():  # without labels the move says that there is nothing to move
        try:
            label, versions = move()
        except SegueError:
            note.unlink(missing_ok=True)  # nothing has moved
            raise
        record = keep(home.models, at, by, action, label, versions, why)
        note.unlink(missing_ok=True)
    return record


def keep(
    root: Path, at: datetime, by: str, action: str, label: str, versions: Mapping[str, int | None], why: str
) -> dict[str, Any]:
    """Keep the record of a move in a model store, and return it. The same move has one record, however often kept."""
    record = {
        "at": at.isoformat(),
        "by": by,
        "action": action,
        "label": label,
        "versions": dict(versions),
        "why": why,
    }
    write_json(root / DECISIONS / name_of(at, action), record)
    return record


def name_of(at: datetime, action: str) -> str:
    """Return the name of a record's file."""
    return f"{at:%Y%m%dT%H%M%S.%f}-{action.replace(' ', '-')}.json"


@contextmanager
def begun(path: Path, said: dict[str, Any]) -> Iterator[None]:
    """Write what was said of a move into a file, and lock it while the body makes the move. The file stays."""
    with atomic_path(path) as temporary:  # it appears with its content, and locked
        file = temporary.open("w", encoding="utf-8")
        file.write(json_text(said))
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
    with file:
        yield


def record_cut_off(root: Path) -> None:
    """Record the moves of labels whose processes were killed before they could; a move that was not made has no record.

    Every command that moves labels calls this before its own move, so what has moved is the move that was cut off.
    """
    folder = root / DECISIONS
    remove_unfinished(folder)
    for path in sorted(folder.glob(f"{BEGUN}*")):
        with suppress(FileNotFoundError), path.open(encoding="utf-8") as file:  # its process may have ended since
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # its process is at work
                continue
            said = json.load(file)
            moved = moved_label(said.pop("labels"), model_store.labels(root), said.pop("goal"))
            record = path.with_name(path.name.removeprefix(BEGUN))
            if moved and not record.exists():
                label, versions = moved
                write_json(record, said | {"label": label, "versions": versions})
            path.unlink(missing_ok=True)


def moved_label(before: Labels, now: Labels, goal: Moved | None) -> Moved | None:
    """Return the label that has moved, and model -> its new version; None if it has not.

    Without a goal it is the first label that has moved: `canary` may go along with `stable`.
    """
    if goal is not None:
        label, wanted = goal
        was, is_now = ({model: names.get(model, {}).get(label) for model in wanted} for names in (before, now))
        return goal if is_now == wanted != was else None
    every = {label for names in (*before.values(), *now.values()) for label in names}
    for label in (STABLE, CANARY, *sorted(every - {STABLE, CANARY})):
        versions = {
            model: now.get(model, {}).get(label)
            for model in sorted({*before, *now})
            if before.get(model, {}).get(label) != now.get(model, {}).get(label)
        }
        if versions:
            return label, versions
    return None


def decisions(home: Home) -> list[dict[str, Any]]:
    """Return the decisions on the labels of a home's models, the newest first."""
    return [read_json(path) for path in sorted(home.decisions.glob("[!.]*.json"), reverse=True)]

"""The record of a move that a roll-out makes of labels, beside the records of other moves (`decisions/` in the store)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rollout.rollout import Phase
from rollout.state_file import State
from serving.store import model_store
from serving.store.versions import CANARY, STABLE
from workloads.operating.decisions import keep

# The phases in which a label moves: the decision that began each, and the label.
MOVES: Mapping[Phase, tuple[str, str]] = {
    "starting": ("start", CANARY),
    "promoting": ("promote", STABLE),
    "taking back": ("take back", CANARY),
}


def record_move(root: Path, state: State, phase: Phase) -> dict[str, Any]:
    """Record the move of a phase, whose labels are there, and return the record.

    The decision names the record, so a repetition after a crash writes the same file.

    Args:
        root: The model store.
        state: The state, whose newest roll-out is in this phase or has left it.
        phase: A phase of `MOVES`.
    """
    action, label = MOVES[phase]
    assert state.rollout is not None
    number, labels = state.rollout.number, model_store.labels(root)
    decision = next(each for each in reversed(state.history) if (each.rollout, each.action) == (number, action))
    versions = {model: labels.get(model, {}).get(label) for model in state.rollout.candidate}
    return keep(root, decision.at, decision.by, action, label, versions, decision.reason)

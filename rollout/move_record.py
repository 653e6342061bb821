"""The record of a move that a roll-out makes of labels, beside those of other moves: `decisions/` in the store."""

from collections.abc import Mapping
from pathlib import Path

from rollout.rollout import Phase
from rollout.state_file import Record, State
from serving.store.label_file import Labels
from serving.store.versions import CANARY, STABLE
from workloads.operating.decisions import keep

# The phases in which a label moves: the decision that began each, and the label.
MOVES: Mapping[Phase, tuple[str, str]] = {
    "starting": ("start", CANARY),
    "promoting": ("promote", STABLE),
    "taking back": ("take back", CANARY),
}


def record_move(root: Path, state: State, phase: Phase, labels: Labels) -> None:
    """Record the move of a phase.

    The decision names the record, so a repetition after a crash writes the same file.

    Args:
        root: The model store.
        state: The state, whose newest roll-out is or was in this phase.
        phase: A phase of `MOVES`.
        labels: Where the labels have moved, by model.
    """
    assert state.rollout is not None
    action, label = MOVES[phase]
    decision = decision_of(state, action)
    moved = {model: labels.get(model, {}).get(label) for model in state.rollout.candidate}
    versions = state.rollout.candidate if phase == "promoting" else moved  # a push may have overtaken the promotion
    keep(root, decision.at, decision.by, action, label, versions, decision.reason)


def decision_of(state: State, action: str) -> Record:
    """Return the last decision of a kind about the newest roll-out."""
    assert state.rollout is not None
    number = state.rollout.number
    return next(each for each in reversed(state.history) if (each.rollout, each.action) == (number, action))

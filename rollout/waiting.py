"""A candidate that waits: the label `canary` names it, and no roll-out has tried it.

A run that was killed between its push and the start of its roll-out leaves one, and so does a push on Kubeflow.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from rollout.moves import SEGUE, start
from rollout.plan import Plan
from rollout.state_file import State, read
from serving.store import model_store
from serving.store.moving import Announce
from serving.store.versions import CANARY, STABLE


def try_waiting(root: Path, plan: Plan, at: datetime, announce: Announce | None = None) -> State:
    """Start the roll-out of the candidate that waits, if there is one, and return the state.

    Args: as `moves.start`.

    Raises:
        InputError: the candidate is not whole.
        SegueError: as `moves.start`.
    """
    state = read(root)
    return start(root, None, plan, SEGUE, at, announce) if waits(state, model_store.labels(root)) else state


def waits(state: State, labels: Mapping[str, Mapping[str, int]]) -> bool:
    """Return whether a candidate waits. One that was taken back, and that a person labels again, does not.

    Args:
        state: the state of roll-outs.
        labels: model -> label -> version.
    """
    if state.rollout is not None and not state.rollout.ended:
        return False
    tried = state.rollout.candidate if state.rollout else {}
    return any(
        STABLE in names and names.get(CANARY, names[STABLE]) not in (names[STABLE], tried.get(model))
        for model, names in labels.items()
    )

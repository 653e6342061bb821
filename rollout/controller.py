"""The controller of a roll-out: look, decide, act, and finish what a crash has left. One process at a time."""

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from rollout.decision import decide
from rollout.looks import Look
from rollout.moves import SEGUE, decided, settle
from rollout.observe import look_at
from rollout.plan import Plan
from rollout.rollout import Rollout
from rollout.state_file import State, change, read
from rollout.waiting import try_waiting
from segue.errors import InputError, SegueError
from segue.lock import locked
from segue.settings import Home
from serving.rollouts.kept_counts import counts_keeping
from serving.store import model_store
from serving.store.model_store import Announce
from surfaces.cohorts.counts import read_counts


def step(home: Home, at: datetime, announce: Announce | None = None, plan: Plan | None = None) -> State:
    """Look at the roll-out that runs, decide, and carry the decision out.

    Without one, finish what is left of the last, and start the roll-out of a candidate that waits.

    A decision about a roll-out that a person has changed since the look is dropped: the next look sees the change. If
    the candidate cannot go on, because another version is stable now, the state says so and nothing moves.

    Args:
        home: The home with the model store, the counts of the gateways and the collected events; on a cluster with the
            newest of them.
        at: The time now, UTC.
        announce: As in `moves.start`.
        plan: The plan for a candidate that waits; None for the usual one.

    Raises:
        InputError: The state, the counts or the data set is damaged; or a candidate that waits is not whole.
        UnavailableError: What keeps the state or the counts does not answer: nothing is decided.
        SegueError: The model server refused a move of labels. The share is written by then; the next step moves them.
    """
    root = home.models
    try:
        settle(root, at, announce)
    except SegueError:  # a server that refuses versions with added items saves no candidate that does harm
        began = read(root).rollout
        if began is None or not began.active:
            raise
    state = try_waiting(root, plan or Plan(), at, announce)
    rollout = state.rollout
    if rollout is None or not rollout.active:
        return state
    decision = decide(rollout, look(home, state, rollout, at), at)

    def carried(now: State) -> State:
        if now.rollout != rollout:
            return now
        try:
            return decided(now, decision, SEGUE, at, model_store.labels(root))
        except InputError as refused:
            return now.noted(rollout, "wait", SEGUE, refused.headline, at)

    change(root, carried)
    return settle(root, at, announce)


def look(home: Home, state: State, rollout: Rollout, at: datetime) -> Look:
    """Return the look at a roll-out from the counts of the gateways and the files of a home."""
    from experiments.metrics.log import open_log

    with contextlib.closing(counts_keeping(home.rollout_counts)) as keeping:
        answers = read_counts(keeping, rollout.number)
    with contextlib.ExitStack() as opened:
        # In the shadow no listener is compared, and the log is long.
        log = opened.enter_context(open_log(home.data)) if rollout.stage and has_data(home) else None
        return look_at(rollout, state.began, answers, log, at)


def has_data(home: Home) -> bool:
    """Return whether a log was imported."""
    return (home.data / "manifest.json").is_file()


@contextlib.contextmanager
def alone(home: Home, at: datetime) -> Iterator[Path]:
    """Be the only controller of a home while the body runs, and yield the file that says so.

    A controller that was killed is none. On a cluster each home may have one; a decision about a roll-out that another
    controller has changed since the look is dropped.

    Raises:
        UnavailableError: Another one runs.
    """
    path = home.rollout_counts / "controller.lock"
    with locked(path, "looks at the roll-out", at):
        yield path

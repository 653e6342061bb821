"""One call after which the store, the roll-out and MLflow agree, whatever was cut off before."""

from datetime import datetime

from rollout.moves import settle, wanted
from rollout.state_file import read
from segue.errors import SegueError
from segue.settings import Home
from serving.store import model_store
from serving.store.moving import Announce, remove_leftovers
from workloads.operating.agree import agree
from workloads.operating.decisions import record_cut_off


def reconcile(home: Home, at: datetime, announce: Announce | None = None) -> list[str]:
    """Finish what a command that ended early has left, and return what could not be finished, a sentence each.

    The state of the roll-out says where its labels belong, a move that was cut off gets its record, and the labels say
    what MLflow's aliases name. With nothing left nothing changes, so that every command that decides ends with this.

    Args:
        home: The home, with the newest models.
        at: The time now, UTC.
        announce: As in `rollout.moves.start`.
    """
    problems = []
    remove_leftovers(home.models)
    try:
        rollout, labels = read(home.models).rollout, model_store.labels(home.models)
        if rollout and not (rollout.ended and rollout.replaced is None and wanted(rollout, labels) == labels):
            settle(home.models, at, announce)
    except SegueError as error:
        problems.append(f"The labels do not follow the roll-out yet: {error.headline}")
    record_cut_off(home.models)
    if problem := agree(home):
        problems.append(problem)
    return problems

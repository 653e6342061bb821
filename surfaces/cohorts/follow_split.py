"""Follow the split of the roll-out: a share of 0 holds at once, and nobody returns to an old version on the way up."""

import asyncio
import logging
from collections.abc import Hashable
from dataclasses import replace

from serving.rollouts.kept_state import StateKeeping
from serving.store.split import Split, split_of
from surfaces.engine.path import Path
from surfaces.versions import MODELS, VersionSet

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.05  # between two looks at the state, so that a share of 0 holds within 0.1 s
PATIENCE = 30.0  # seconds in which the model servers may follow the labels; replicas on a cluster take up to 14


async def follow_split(keeping: StateKeeping, path: Path, seen: Hashable = None, seconds: float = LOOK_SECONDS) -> None:
    """Keep the split of a path that of the roll-out's state, for ever.

    A split that needs versions which the path has not read yet is used once it has, or after `PATIENCE`: until then
    the one before stays. Where items were added, it stays as long as its versions answer. A state that cannot be read
    is logged once, and the last split stays until it can be.

    Args:
        keeping: has the state.
        path: its requests are split.
        seen: the stamp of the split as it was read last.
        seconds: between two looks.
    """
    newest, waited, now, said = path.experiments.split, 0.0, seen, None
    while True:
        await asyncio.sleep(seconds)
        try:
            now = await asyncio.to_thread(keeping.stamp)
            if now != seen:
                read = await asyncio.to_thread(split_of, keeping)
                waited = waited if read == newest else 0.0  # a look may write the state anew, with the same split
                newest, seen = read, now
            said = None
        except Exception as error:  # it is damaged, or its server is dead: it is read again at each look
            # Words vary within an outage: a server that dies closes the connection, then it refuses the next.
            if said != (fault := (type(error), now)):
                log.error("the roll-out stays as it was: %s", error)
            said = fault
        if newest == path.experiments.split:
            continue
        following = replace(path.experiments, split=newest)
        path.models.choices = following.choices | path.experiments.choices  # the last split is in use until then
        current = path.models.current
        if ready(newest, current) or (waited >= PATIENCE and not answers(path.experiments.split, newest, current)):
            path.experiments, path.models.choices = following, following.choices
        waited += seconds


def ready(split: Split | None, current: VersionSet) -> bool:
    """Whether requests can follow a split: the versions that it gives listeners are known."""
    if split is None:
        return True
    wanted = asked(split)
    if split.phase == "promoted":  # the candidate's listeners keep it until it is what everybody is answered by
        return all(current.versions.get(model) == version for model, version in wanted.items())
    return not (split.share or split.shadow) or all(pair in current.served for pair in wanted.items())


def answers(split: Split | None, following: Split | None, current: VersionSet) -> bool:
    """Whether a candidate answers that another version of its roll-out, with added items, is to follow."""
    if split is None or following is None or split.number != following.number:
        return False
    return split.candidate != following.candidate and all(pair in current.served for pair in asked(split).items())


def asked(split: Split) -> dict[str, int]:
    """Return the candidate's versions of the models that gateways ask."""
    return {model: version for model, version in split.candidate.items() if model in MODELS}

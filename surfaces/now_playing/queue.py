"""Filling the queue: the chance of each next play, shaped by the session, and drawn place by place."""

from collections.abc import Mapping

import numpy as np

from surfaces.candidates import Candidates
from surfaces.engine.context import Context
from surfaces.now_playing import skips, talk, wishes
from surfaces.now_playing.draw import TEMPERATURE, draw
from surfaces.now_playing.next_play import log_chances
from surfaces.now_playing.state import Promise, SessionState
from surfaces.now_playing.wishes import Wishes


def shaped(
    context: Context,
    state: SessionState,
    candidates: Candidates,
    wished: Wishes,
    mix: Mapping[str, float],
) -> np.ndarray:
    """The scores that the next items are drawn by, float32 `[n]`; minus infinity for what is not to be played.

    Args:
        context: of the request.
        state: of the session; its items and its queue are not played again.
        candidates: `n` items.
        wished: what the chips ask for.
        mix: content type -> share that fits the moment (`surfaces.home.calibration.content_mix`); empty for no
            calibration. A chip that names types goes before it.
    """
    catalogue, rows = context.catalogue, candidates.rows
    not_again = had(state)
    if wished.unheard:
        not_again |= set(context.features.get("history_items") or [])
    playable = np.array([item not in not_again for item in candidates.item_ids], bool)
    out = log_chances(candidates, playable, context.features, state, catalogue, context.request.timestamp)
    out += wishes.offsets(wished, catalogue, rows)
    out += talk.offsets(out, catalogue.content_types[rows].astype(str), {} if wished.types else mix)
    return skips.react(out, state, catalogue, rows, TEMPERATURE)


def had(state: SessionState) -> set[str]:
    """The items that a session does not play again: those it acted on, has promised or was told not to play."""
    return {one.item_id for one in state.actions} | {one.item_id for one in state.queue} | set(state.dislikes)


def fill(
    queue: tuple[Promise, ...], candidates: Candidates, scores: np.ndarray, length: int, seed: int, version: int
) -> tuple[Promise, ...]:
    """A queue of `length` items, if there are so many: what is promised stays, and the places after it are drawn.

    Args:
        queue: what is promised already.
        candidates: `n` items, without those of the queue.
        scores: to draw by, `[n]`.
        length: items of the full queue.
        seed: of the draw.
        version: of the model that gave the scores.
    """
    places, propensities = draw(scores, max(length - len(queue), 0), seed)
    return queue + tuple(
        Promise(candidates.item_ids[i], float(chance), float(scores[i]), tuple(candidates.sources[i]), version)
        for i, chance in zip(places.tolist(), propensities.tolist(), strict=True)
    )

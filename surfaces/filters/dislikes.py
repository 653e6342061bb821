"""The filter `dislikes`: neither what the listener said no to, nor what the listener skipped last."""

import numpy as np

from events.schema import SKIP
from surfaces.candidates import Candidates
from surfaces.engine.context import Context
from surfaces.filters.filter import Filter


def keep(context: Context, candidates: Candidates) -> np.ndarray:
    """Drop the request's dislikes, and items whose newest interaction in the history is a skip."""
    newest: dict[str, str] = {}
    for item, action in zip(context.features.get("history_items") or [], context.actions, strict=True):
        newest.setdefault(item, action)
    unwanted = {item for item, action in newest.items() if action == SKIP} | set(context.request.dislikes)
    if unwanted.isdisjoint(candidates.item_ids):
        return np.ones(len(candidates.item_ids), bool)
    return np.array([item not in unwanted for item in candidates.item_ids], bool)


dislikes = Filter("dislikes", keep)

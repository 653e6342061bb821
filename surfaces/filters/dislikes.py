"""The filter `dislikes`: neither what the listener said no to, nor what the listener skipped last.

A lasting dislike leaves out the creator too, of whom the listener does not want to be shown anything.
"""

import numpy as np

from events.schema import SKIP
from surfaces.candidates import Candidates
from surfaces.engine.context import Context
from surfaces.filters.filter import Filter


def keep(context: Context, candidates: Candidates) -> np.ndarray:
    """Drop the request's dislikes, the creators of lasting ones, and items whose newest interaction is a skip."""
    newest: dict[str, str] = {}
    for item, action in zip(context.features.get("history_items") or [], context.actions, strict=True):
        newest.setdefault(item, action)
    catalogue, lasting = context.catalogue, context.request.lasting_dislikes
    unwanted = {item for item, action in newest.items() if action == SKIP} | {*context.request.dislikes, *lasting}
    kept = np.array([item not in unwanted for item in candidates.item_ids], bool)
    creators = {*catalogue.creator_ids[catalogue.rows(lasting)].tolist()} - {""}
    if creators:
        by_others = [creator not in creators for creator in catalogue.creator_ids[candidates.rows].tolist()]
        kept &= np.array(by_others, bool)
    return kept


dislikes = Filter("dislikes", keep)

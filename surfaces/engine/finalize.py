"""Stage 7, finalize: a whole page as it is, and what stands in for a page that models could not decide."""

from dataclasses import replace

import numpy as np

from surfaces.candidates import SourceAnswer, merge
from surfaces.engine.context import Context
from surfaces.engine.page import EMPTY, ShownItem, ShownPage, one_list
from surfaces.engine.path import CACHED, POPULAR, UNRANKED, Answer
from surfaces.filters.every import FILTERS
from surfaces.sources.popular import popular


def finalize(answer: Answer[ShownPage], last: ShownPage | None, most: int) -> ShownPage:
    """The page to show.

    Args:
        answer: what the path made of the request.
        last: the last page of the listener that models decided; None if there is none.
        most: how many popular items to show if there is nothing better.
    """
    if answer.level == UNRANKED:
        return answer.page.degraded_to(UNRANKED)
    if answer.level is not None:
        return answer.page
    kept = last and still_allowed(last, answer.context)
    if kept and kept.shelves:
        return kept.degraded_to(CACHED)
    return popular_page(answer.context, most)


def still_allowed(page: ShownPage, context: Context) -> ShownPage:
    """A page without the items that the filters of another request leave out, in the same order."""
    allowed = allowed_items(context, [item.item_id for item in page.items])
    shelves, position = [], 0
    for shelf in page.shelves:
        items = []
        for item in shelf.items:
            if item.item_id in allowed:
                position += 1
                place = {"row": len(shelves) + 1, "column": len(items) + 1, "position": position}
                items.append(replace(item, **place))
        if items:
            shelves.append(replace(shelf, items=tuple(items)))
    return replace(page, shelves=tuple(shelves))


def allowed_items(context: Context, item_ids: list[str]) -> set[str]:
    """The items that the request's filters keep, among known items."""
    known = merge([SourceAnswer("kept", np.array(item_ids, str), np.zeros(len(item_ids)))], context.catalogue)
    for one in FILTERS:
        known = known.keep(one.keep(context, known))
    return set(known.item_ids)


def popular_page(context: Context, most: int) -> ShownPage:
    """The items that are played most in the request's market."""
    answers = popular.find(context)
    allowed = allowed_items(context, answers[0].item_ids.tolist())
    chosen = [item for item in answers[0].item_ids.tolist() if item in allowed][:most]
    items = [ShownItem(item, 1, place, place, sources=(popular.name,)) for place, item in enumerate(chosen, 1)]
    if not items:
        return EMPTY.degraded_to(POPULAR)
    return one_list(items, "", "Popular now", "What listeners play most.", "popular").degraded_to(POPULAR)

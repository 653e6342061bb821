"""Stage 7, finalize: a whole page as it is, and what stands in for a page that models could not decide."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from surfaces.candidates import SourceAnswer, merge
from surfaces.engine.context import Context
from surfaces.engine.page import ShownItem, ShownPage, ShownShelf, one_list
from surfaces.engine.path import CACHED, POPULAR, UNRANKED, Answer
from surfaces.filters.every import FILTERS
from surfaces.sources.popular import popular

STAND_INS = 20  # items of a page that no model decides


def finalize(
    answer: Answer[ShownPage], last: Callable[[], ShownPage | None], stand_in: Callable[[Context], ShownPage]
) -> ShownPage:
    """The page to show.

    Args:
        answer: what the path made of the request.
        last: gives the last page of the listener that models decided; None if there is none.
        stand_in: the page that needs no model, if there is nothing better.
    """
    if answer.level == UNRANKED:
        return answer.page.degraded_to(UNRANKED)
    if answer.level is not None:
        return answer.page
    page = last()
    kept = page and still_allowed(page, answer.context)
    if kept and kept.shelves:
        return kept.degraded_to(CACHED)
    return stand_in(answer.context).degraded_to(POPULAR)


def still_allowed(page: ShownPage, context: Context) -> ShownPage:
    """A page without the items that the filters of another request leave out, in the same order."""
    allowed = allowed_items(context, [item.item_id for item in page.items])
    shelves: list[ShownShelf] = []
    position = 0
    for shelf in page.shelves:
        items: list[ShownItem] = []
        for item in shelf.items:
            if item.item_id in allowed:
                position += 1
                items.append(item._replace(row=len(shelves) + 1, column=len(items) + 1, position=position))
        if items:
            shelves.append(replace(shelf, items=tuple(items)))
    return replace(page, shelves=tuple(shelves))


def allowed_items(context: Context, item_ids: list[str]) -> set[str]:
    """The items that the request's filters keep, among known items."""
    known = merge([SourceAnswer("kept", np.array(item_ids, str), np.zeros(len(item_ids)))], context.catalogue)
    for one in FILTERS:
        known = known.keep(one.keep(context, known))
    return set(known.item_ids)


def popular_page(context: Context) -> ShownPage:
    """The items that are played most in the request's market."""
    return kept_list(context, popular.find(context)[0].item_ids.tolist(), "popular", "Popular now", "Played by many.")


def kept_list(context: Context, item_ids: list[str], name: str, title: str, reason: str) -> ShownPage:
    """A page of the first of some items that the request's filters keep.

    Args:
        context: of the request.
        item_ids: best first.
        name: of the source, and of the shelf.
        title, reason: of the shelf.
    """
    allowed = allowed_items(context, item_ids)
    chosen = [item for item in item_ids if item in allowed][:STAND_INS]
    items = [ShownItem(item, 1, place, place, sources=(name,)) for place, item in enumerate(chosen, 1)]
    return one_list(items, name, title, reason, name)

"""Stage 7, finalize: a whole page as it is, and what stands in for a page that models could not decide."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import replace

import numpy as np

from surfaces.candidates import SourceAnswer
from surfaces.engine.context import Context
from surfaces.engine.filtered import filtered
from surfaces.engine.page import ShownItem, ShownPage, ShownShelf, one_list
from surfaces.engine.path import CACHED, POPULAR, UNRANKED, Answer
from surfaces.engine.stage import Trace
from surfaces.filters.every import FILTERS
from surfaces.sources.popular import most_played

STAND_INS = 20  # items of a page that no model decides
STAND_IN_POOL = 500  # items that they are chosen from: filters and sessions may leave out many of the first
StandIn = Callable[[Context, Trace], Awaitable[ShownPage]]


async def finalize(answer: Answer[ShownPage], last: Callable[[], ShownPage | None], stand_in: StandIn) -> ShownPage:
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
    kept = page and await still_allowed(page, answer.context, answer.trace)
    if kept and kept.shelves:
        return kept.degraded_to(CACHED)
    return (await stand_in(answer.context, answer.trace)).degraded_to(POPULAR)


async def still_allowed(page: ShownPage, context: Context, trace: Trace) -> ShownPage:
    """A page without the items that the filters of another request leave out, in the same order."""
    allowed = await allowed_items(context, [item.item_id for item in page.items], trace)
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


async def allowed_items(context: Context, item_ids: list[str], trace: Trace) -> set[str]:
    """The items that the request's filters keep. The filters run however late: what they keep may be all there is."""
    answer = SourceAnswer("kept", np.array(item_ids, str), np.zeros(len(item_ids)))
    return set((await filtered([answer], FILTERS, context, trace, math.inf)).item_ids)


async def popular_page(context: Context, trace: Trace) -> ShownPage:
    """The items that are played most in the request's market."""
    items = most_played(context, STAND_IN_POOL).item_ids.tolist()
    return await kept_list(context, items, "popular", "Popular now", "Played by many.", trace)


async def kept_list(
    context: Context, item_ids: list[str], name: str, title: str, reason: str, trace: Trace
) -> ShownPage:
    """A page of the first of some items that the request's filters keep.

    Args:
        context: of the request.
        item_ids: best first.
        name: of the source, and of the shelf.
        title, reason: of the shelf.
        trace: of the request.
    """
    allowed = await allowed_items(context, item_ids, trace)
    chosen = [item for item in item_ids if item in allowed][:STAND_INS]
    items = [ShownItem(item, 1, place, place, sources=(name,)) for place, item in enumerate(chosen, 1)]
    return one_list(items, name, title, reason, name)

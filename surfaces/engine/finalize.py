"""Stage 7, finalize: a whole page as it is, and what stands in for a page that models could not decide."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from surfaces.candidates import SourceAnswer
from surfaces.engine.context import Context
from surfaces.engine.filtered import filtered
from surfaces.engine.page import ShownItem, ShownPage, ShownShelf, one_list
from surfaces.engine.path import CACHED, POPULAR, UNRANKED, Answer, Surface
from surfaces.engine.stage import Trace
from surfaces.filters.every import FILTERS
from surfaces.sources.popular import most_played

STAND_INS = 20  # items of a Home page that no model decides
STAND_IN_POOL = 500  # items that they are chosen from: filters and sessions may leave out many of the first
StandIn = Callable[[Context, Trace], Awaitable[ShownPage]]


async def finalize(
    surface: Surface[ShownPage],
    answer: Answer[ShownPage],
    last: Callable[[], ShownPage | None],
    stand_in: StandIn,
) -> ShownPage:
    """The page to show.

    Args:
        surface: that was asked for.
        answer: what the path made of the request.
        last: gives the last page of the listener that models decided; None if there is none.
        stand_in: the page that needs no model, if there is nothing better.
    """
    if answer.level == UNRANKED:
        return answer.page.degraded_to(UNRANKED)
    if answer.level is not None:
        return answer.page
    page = last()
    kept = page and await still_allowed(page, surface, answer.context, answer.trace)
    if kept and kept.shelves:
        return kept.degraded_to(CACHED)
    return (await stand_in(answer.context, answer.trace)).degraded_to(POPULAR)


async def still_allowed(page: ShownPage, surface: Surface[ShownPage], context: Context, trace: Trace) -> ShownPage:
    """What another request's filters keep of a page, in the same order, and not more than that request asks for.

    Args:
        page: of an earlier request.
        surface: of both requests.
        context, trace: of the present request.
    """
    allowed = set(await allowed_items(context, by_source({item.item_id: item.sources for item in page.items}), trace))
    most = context.request.k if surface.one_list else None
    shelves: list[ShownShelf] = []
    position = 0
    for shelf in page.shelves:
        items: list[ShownItem] = []
        for item in [item for item in shelf.items if item.item_id in allowed][:most]:
            position += 1
            items.append(item._replace(row=len(shelves) + 1, column=len(items) + 1, position=position))
        if items:
            shelves.append(replace(shelf, items=tuple(items)))
        if len(shelves) == context.request.rows:
            break
    return replace(page, shelves=tuple(shelves))


async def allowed_items(context: Context, answers: Sequence[SourceAnswer], trace: Trace) -> list[str]:
    """The items of some answers that the request's filters keep, in order.

    The filters run however late: what they keep may be all there is.
    """
    return (await filtered(answers, FILTERS, context, trace, math.inf)).item_ids


def by_source(found: Mapping[str, Sequence[str]]) -> list[SourceAnswer]:
    """Items that sources found for an earlier request, as the answers of these sources: filters ask who found an item.

    Args:
        found: item -> the names of its sources.
    """
    names = dict.fromkeys(name for sources in found.values() for name in sources)
    items = {name: [item for item, sources in found.items() if name in sources] for name in names}
    return [SourceAnswer(name, np.array(some, str), np.zeros(len(some))) for name, some in items.items()]


async def popular_page(context: Context, trace: Trace) -> ShownPage:
    """The items that are played most in the request's market."""
    found = most_played(context, STAND_IN_POOL)
    return await kept_list(context, found, STAND_INS, "Popular now", "Played by many.", trace)


async def kept_list(context: Context, found: SourceAnswer, k: int, title: str, reason: str, trace: Trace) -> ShownPage:
    """A page of the first of some items that the request's filters keep.

    Args:
        context: of the request.
        found: the items, best first; the shelf has the name of the source.
        k: how many items to show.
        title, reason: of the shelf.
        trace: of the request.
    """
    chosen = (await allowed_items(context, [found], trace))[:k]
    items = [ShownItem(item, 1, place, place, sources=(found.source,)) for place, item in enumerate(chosen, 1)]
    return one_list(items, found.source, title, reason, found.source)

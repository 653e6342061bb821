"""The surface of new releases: the items of the last two weeks that fit the listener best."""

from collections.abc import Mapping

import numpy as np

from surfaces.candidates import Candidates
from surfaces.compose import slate
from surfaces.engine.context import Context
from surfaces.engine.finalize import STAND_IN_POOL, kept_list
from surfaces.engine.page import EMPTY, ShownItem, ShownPage, one_list
from surfaces.engine.path import Surface
from surfaces.engine.stage import Trace
from surfaces.filters.every import FILTERS
from surfaces.sources.new_releases import new_releases
from surfaces.sources.source import listed


def compose(context: Context, candidates: Candidates, scores: Mapping[str, np.ndarray]) -> ShownPage:
    """The best by reward; nothing is drawn."""
    uncertainty = scores.get("uncertainty", np.zeros_like(scores["reward"]))
    places, explored = slate(scores["reward"], uncertainty, context.request.k, context.request.exploration)
    items = [
        ShownItem(
            candidates.item_ids[i],
            1,
            place,
            place,
            explored=i in explored,
            scores={name: float(values[i]) for name, values in scores.items()},
            sources=tuple(candidates.sources[i]),
        )
        for place, i in enumerate(places, 1)
    ]
    return one_list(items, "reward", shelf="new_releases")


async def newest(context: Context, trace: Trace) -> ShownPage:
    """The newest items by their age: what stands in without models."""
    catalogue = context.catalogue
    newest_first = listed("new_releases", context, catalogue.by_release, np.zeros(len(catalogue)), STAND_IN_POOL)
    return await kept_list(context, newest_first, context.request.k, "", "", trace)


NEW_RELEASES = Surface("new_releases", (new_releases,), FILTERS, compose, EMPTY, one_list=True)

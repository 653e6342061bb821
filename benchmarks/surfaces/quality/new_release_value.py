"""The true value of a list of new releases beside the newest items and the most played new items."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.results import target
from benchmarks.surfaces.quality.home_value import ABOVE, values_of
from benchmarks.surfaces.quality.served_pages import Rows, Served, rows_of
from events.world.live.value import PLAY_REWARD
from events.world.live.world import World
from models.evaluation.metrics import bootstrap_mean
from surfaces.engine.page import ShownPage
from surfaces.engine.stage import Trace
from surfaces.new_releases import newest
from surfaces.sources.new_releases import DAYS
from surfaces.sources.source import listed

PEERS = ("age_order", "popularity")


def run(world: World, served: Sequence[Served], k: int, seed: int) -> dict[str, Any]:
    """Value the list of new releases of each listener, and that of two peers.

    Args:
        world: knows the true value.
        served: requests for new releases.
        k: items of a list.
        seed: of the intervals.

    Returns:
        `lists`; `values`: for `segue` and each peer the mean `value` of a list, and for the peers `ahead`; `targets`.
    """
    listeners = np.array([one.moment.user for one in served])
    lists: dict[str, list[Rows]] = {
        "segue": [rows_of(world, one.answer.page) for one in served],
        "age_order": [first(rows_of(world, page), k) for page in asyncio.run(by_age(served))],
        "popularity": [most_played(world, one, k) for one in served],
    }
    values = {name: values_of(world, served, rows, PLAY_REWARD) for name, rows in lists.items()}
    figures: dict[str, dict[str, Any]] = {
        name: {"value": asdict(bootstrap_mean(of_list, listeners, seed))} for name, of_list in values.items()
    }
    for name in PEERS:
        figures[name]["ahead"] = asdict(bootstrap_mean(values["segue"] - values[name], listeners, seed))
    return {
        "lists": len(served),
        "values": figures,
        "targets": {
            f"new_releases_above_{name}": target(figures[name]["ahead"]["low"], at_least=ABOVE) for name in PEERS
        },
    }


async def by_age(served: Sequence[Served]) -> list[ShownPage]:
    """The newest items for each request."""
    return [await newest(one.answer.context, Trace()) for one in served]


def first(rows: Rows, k: int) -> Rows:
    """The first items of a page as one row."""
    return [[item for row in rows for item in row][:k]]


def most_played(world: World, served: Served, k: int) -> Rows:
    """The items of the last two weeks with the most plays in the listener's market."""
    context = served.answer.context
    catalogue, today = context.catalogue, context.request.timestamp // 86_400
    plays = catalogue.popularity.get(context.market, catalogue.popularity[""])
    ranked = np.argsort(-plays[:-1], kind="stable").astype(np.int32)
    new = ranked[(catalogue.release_days[ranked] > today - DAYS) & (catalogue.release_days[ranked] <= today)]
    chosen = listed("popular", context, new, plays[new], k)
    return [[world.item_index[item] for item in chosen.item_ids.tolist()]]

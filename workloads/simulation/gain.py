"""What the training of a simulation was worth: the first and the last models asked for Home in the same moments.

Both answer with the same features, items, request ids and so random draws; only the models, and the layout policy
learned beside them, differ. The value of a page is the world's own, so nothing is estimated but the mean over moments.
"""

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np

from events.world.day import DAY, HOME
from events.world.live.value import Context, contexts, policy_values
from events.world.live.world import World
from models.evaluation.metrics import bootstrap_mean
from segue.settings import Home
from serving.client.async_client import AsyncClient
from serving.store import model_store
from surfaces.assembly import model_server
from surfaces.catalogue import Catalogue
from surfaces.engine.finalize import finalize, popular_page
from surfaces.engine.path import PATIENT, Path
from surfaces.home.rules import HomeRules
from surfaces.home.serving_policy import serving_policy
from surfaces.home.surface import home_surface
from surfaces.hydrate import Features, OnlineFeatures, UnknownListenerError
from surfaces.read_catalogue import read_catalogue
from surfaces.request import Exploration, Request
from surfaces.versions import Models
from workloads.simulation.day import instant
from workloads.simulation.features import refresh_features

MOMENTS, SEED = 600, 0
Quiet = Callable[[], AbstractContextManager]
Rows = list[list[str]]


def first_home(home: Home) -> Home:
    """Return the folder of the models and the layout policy that a simulation began with."""
    return Home(home.simulation / "first")


def keep_first(home: Home) -> None:
    """Keep what serves now as the first models of a simulation, unless it is kept already."""
    first = first_home(home)
    if model_store.stable(first.models):
        return
    if home.layout_policy.is_file():
        first.surfaces.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(home.layout_policy, first.layout_policy)
    model_store.push(first.models, model_store.stable(home.models))


def gain(home: Home, world: World, day: int, quiet: Quiet) -> dict[str, Any]:
    """Compare the last models with the first on Home pages of a day, by the true reward of each page.

    Args:
        home: the home of the simulation, whose data are complete to the start of the day.
        world: the world.
        day: the day after the last one that was simulated.
        quiet: a context in which TensorFlow is loaded.

    Returns:
        `pages`; `first` and `last`, the mean true reward of a page by each; `difference` of the last over the first
        with the ends `low` and `high` of its 95 % interval, which resamples listeners.
    """
    with quiet():
        refresh_features(home, instant(day * DAY))
    moments = contexts(world, [day], HOME, MOMENTS, SEED)
    asked = hydrated(home, world, moments)
    catalogue = read_catalogue(home)
    values = {}
    for name, served in (("first", first_home(home)), ("last", home)):
        with model_server(None, served.models, quiet) as address:
            pages = asyncio.run(home_pages(served, address, catalogue, asked))
        rows = {
            moment: [[world.item_index[item_id] for item_id in row] for row in page]
            for moment, page in zip(moments, pages, strict=True)
        }
        values[name] = policy_values(world, moments, rows.__getitem__)
    listeners = np.array([moment.user for moment in moments])
    better = bootstrap_mean(values["last"] - values["first"], listeners, SEED)
    return {
        "pages": len(moments),
        **{name: float(value.mean()) for name, value in values.items()},
        "difference": better.mean,
        "low": better.low,
        "high": better.high,
    }


def hydrated(home: Home, world: World, moments: Sequence[Context]) -> list[tuple[Request, Features]]:
    """Return the request of each moment with its features; a listener who is not known yet asks as a new one."""
    online = OnlineFeatures(home)

    def of(moment: Context) -> tuple[Request, Features]:
        request = Request(
            world.user_ids[moment.user],
            instant(moment.at),
            exploration=Exploration(),
            request_id=f"gain-{moment.user}-{moment.at}",
        )
        try:
            return request, online.hydrate(request)
        except UnknownListenerError:
            new = replace(request, picks=())
            return new, online.hydrate(new)

    return [of(moment) for moment in moments]


async def home_pages(
    served: Home, address: str, catalogue: Catalogue, asked: Sequence[tuple[Request, Features]]
) -> list[Rows]:
    """Return the rows of item ids of the Home page of each request, by the models at an address."""
    features = dict(asked)
    surface = home_surface(serving_policy(served), HomeRules())

    async def hydrate(request: Request) -> Features:
        return features[request]

    async with AsyncClient(address) as client:
        models = Models(client)
        await models.refresh()
        path = Path(models, hydrate, catalogue, PATIENT)
        pages = [finalize(await path.answer(surface, request), lambda: None, popular_page) for request, _ in asked]
    return [[[item.item_id for item in shelf.items] for shelf in page.shelves] for page in pages]


def sentence(result: Mapping[str, Any]) -> str:
    """Say what the training was worth."""
    return (
        f"The last models against the first in {result['pages']} moments of the next day: "
        f"{result['last']:.3f} instead of {result['first']:.3f} items played through a page, "
        f"{result['difference']:+.3f} ({result['low']:+.3f} to {result['high']:+.3f} at 95 %)."
    )

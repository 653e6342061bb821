"""What the pages of several sets of models are truly worth in the same moments, beside those of an oracle.

All answer with the same features, items, request ids and so random draws; only the models, and the layout policy that
was learned beside them, differ. The value of a page is the world's own, so nothing is estimated but the mean over the
moments.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import numpy as np

from events.world.live.pages import Pages
from events.world.live.value import PLAY_REWARD, Context, best, expected, policy_values
from events.world.live.world import World
from segue.settings import Home
from serving.client.async_client import AsyncClient
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

Quiet = Callable[[], AbstractContextManager]
Rows = list[list[int]]
ORACLE = "oracle"


def true_values(
    home: Home, world: World, moments: Sequence[Context], rivals: Mapping[str, Home], quiet: Quiet
) -> dict[str, np.ndarray]:
    """Return the true reward of the Home page of each moment, by each rival and by an oracle `[moments]`.

    The oracle knows the listeners and the items of the day, but no session's mood; its page has the rows of the first
    rival's.

    Args:
        home: the home of the simulation, whose online features are those of the moments' day.
        world: the world.
        moments: the moments, all of one day.
        rivals: homes with models and a layout policy, by name.
        quiet: a context in which TensorFlow is loaded.
    """
    asked, catalogue = hydrated(home, world, moments), read_catalogue(home)
    values, pages = {}, {}
    for name, served in rivals.items():
        with model_server(None, served.models, quiet) as address:
            answered = asyncio.run(home_pages(served, address, catalogue, asked))
        pages[name] = [[[world.item_index[item_id] for item_id in row] for row in page] for page in answered]
        values[name] = policy_values(world, moments, dict(zip(moments, pages[name], strict=True)).__getitem__)
    values[ORACLE] = oracle_values(world, moments, pages[next(iter(rivals))])
    return values


def oracle_values(world: World, moments: Sequence[Context], rows: Sequence[Rows]) -> np.ndarray:
    """Return the true reward of the best pages of these rows in moments of one day `[moments]`."""
    today = world.day(moments[0].day)
    user, at, surface = np.array([(moment.user, moment.at, moment.surface) for moment in moments]).T
    return expected(today, best(today, Pages.of(user, at, surface, rows))).reward(PLAY_REWARD)


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
) -> list[list[list[str]]]:
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

"""What the pages of several sets of models are truly worth in the same moments, beside those of an oracle.

All answer with the same features, items, request ids and so random draws; only the models, and the layout policy that
was learned beside them, differ. The value of a page is the world's own, so nothing is estimated but the mean over the
moments.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np

from events.world.live.pages import Pages
from events.world.live.value import PLAY_REWARD, Context, best, expected, policy_values
from events.world.live.world import World
from segue.errors import UnavailableError
from segue.settings import Home
from serving.client.async_client import AsyncClient
from serving.store import model_store
from surfaces.catalogue import Catalogue
from surfaces.engine.finalize import finalize, popular_page
from surfaces.engine.path import PATIENT, Path
from surfaces.home.rules import HomeRules
from surfaces.home.serving_policy import serving_policy
from surfaces.home.surface import home_surface
from surfaces.hydrate import Features, OnlineFeatures, UnknownListenerError
from surfaces.read_catalogue import read_catalogue
from surfaces.request import Exploration, Request
from surfaces.versions import MODELS, Models, VersionSet
from workloads.simulation.day import instant

Rows = list[list[int]]
ORACLE = "oracle"
LOADED_SECONDS, POLL_SECONDS = 120.0, 0.1


@dataclass(frozen=True)
class Rival:
    """Models that are asked.

    Args:
        home: Has them and a layout policy.
        server: `host:port` of a model server of this home.
        candidate: Versions that answer in place of stable ones, by model.
    """

    home: Home
    server: str
    candidate: Mapping[str, int] = field(default_factory=dict)

    @property
    def versions(self) -> dict[str, int]:
        """The version of each model."""
        stable = {model: int(folder.name) for model, folder in model_store.stable(self.home.models).items()}
        return {model: version for model, version in {**stable, **self.candidate}.items() if model in MODELS}


def true_values(
    home: Home, world: World, moments: Sequence[Context], rivals: Mapping[str, Rival]
) -> dict[str, np.ndarray]:
    """Return the true reward of the Home page of each moment, by each rival and by an oracle `[moments]`.

    The oracle knows the listeners and the items of the day, but no session's mood; its page has the rows of the first
    rival's.

    Args:
        home: the home of the simulation, whose online features are those of the moments' day.
        world: the world.
        moments: the moments, all of one day.
        rivals: the rivals by name.

    Raises:
        UnavailableError: a server does not answer, or has not loaded the versions of a rival within two minutes.
    """
    asked, catalogue = hydrated(home, world, moments), read_catalogue(home)
    values, pages = {}, {}
    for name, rival in rivals.items():
        answered = asyncio.run(home_pages(rival, catalogue, asked))
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
    rival: Rival, catalogue: Catalogue, asked: Sequence[tuple[Request, Features]]
) -> list[list[list[str]]]:
    """Return the rows of item ids of a rival's Home page of each request."""
    features = dict(asked)
    surface = home_surface(serving_policy(rival.home), HomeRules())

    async def hydrate(request: Request) -> Features:
        return features[request]

    async with AsyncClient(rival.server) as client:
        models = Models(client)
        models.current = await loaded(models, rival.versions)
        path = Path(models, hydrate, catalogue, PATIENT)
        pages = [
            await finalize(surface, await path.answer(surface, request), lambda: None, popular_page)
            for request, _ in asked
        ]
    return [[[item.item_id for item in shelf.items] for shelf in page.shelves] for page in pages]


async def loaded(models: Models, versions: Mapping[str, int]) -> VersionSet:
    """Return a set of versions once the server, which may have just started, has loaded all of them.

    Raises:
        UnavailableError: it has not in time.
    """
    models.choices = frozenset(versions.items())
    deadline = time.monotonic() + LOADED_SECONDS
    while True:
        with suppress(UnavailableError):
            if models.choices <= (await models.refresh()).served.keys():
                return models.current.chosen(versions)
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"A server loads a rival's versions within {LOADED_SECONDS:.0f} s. "
                f"Some of {dict(versions)} are not loaded.",
                "Read the logs of the servers in the folder of the simulation, and run `segue simulate` again.",
            )
        await asyncio.sleep(POLL_SECONDS)

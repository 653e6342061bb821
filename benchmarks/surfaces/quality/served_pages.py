"""Pages of the gateway's own stages, by the models of a home on a server, for moments of a world."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from events.world.live.value import Context as Moment
from events.world.live.world import World
from segue.errors import SegueError
from segue.settings import Home
from serving.client.async_client import AsyncClient
from surfaces.engine.page import ShownPage
from surfaces.engine.path import PATIENT, WHOLE, Answer, Path, Surface
from surfaces.hydrate import Hydrator, UnknownListenerError
from surfaces.read_catalogue import read_catalogue
from surfaces.request import NO_EXPLORATION, Exploration, Request
from surfaces.versions import Models
from workloads.simulation.day import instant

Rows = list[list[int]]  # of a page: the items of each row, as the world numbers them


@dataclass(frozen=True)
class Served:
    """What the stages made of a request, at its moment of the world."""

    moment: Moment
    answer: Answer[ShownPage]

    def page(self, surface: Surface[ShownPage], request_id: str = "", budget: float | None = None) -> ShownPage:
        """The page that a surface composes from the same candidates and scores.

        Args:
            surface: composes.
            request_id: seeds the draws; '' keeps those of the answer.
            budget: of exploration; None keeps that of the request.
        """
        answer, request = self.answer, self.answer.context.request
        request = replace(
            request,
            request_id=request_id or request.request_id,
            exploration=request.exploration if budget is None else Exploration(budget),
        )
        return surface.compose(replace(answer.context, request=request), answer.candidates, answer.scores)


def serve(
    home: Home,
    server: str,
    world: World,
    moments: Sequence[Moment],
    surface: Surface[ShownPage],
    exploration: Exploration = NO_EXPLORATION,
    k: int = 10,
) -> list[Served]:
    """Answer a request at each moment, as the gateway does.

    Args:
        home: with the models' data and online store.
        server: the address of its model server.
        world: names the listeners.
        moments: of the requests.
        surface: what is asked for.
        exploration: of each request.
        k: items of a list.

    Raises:
        SegueError: a stage failed; a page that was not decided as usual is no measure.
    """

    async def whole() -> list[Served]:
        hydrator = Hydrator(home)
        try:
            async with AsyncClient(server) as client:
                models = Models(client)
                await models.refresh()
                path = Path(models, hydrator, read_catalogue(home), PATIENT)
                return [
                    Served(moment, await answered(path, surface, request_at(number, moment)))
                    for number, moment in enumerate(moments)
                ]
        finally:
            hydrator.close()

    def request_at(number: int, moment: Moment) -> Request:
        return Request(
            world.user_ids[moment.user],
            instant(moment.at),
            k=k,
            exploration=exploration,
            request_id=f"{surface.name}-{number}",
        )

    return asyncio.run(whole())


async def answered(path: Path, surface: Surface[ShownPage], request: Request) -> Answer[ShownPage]:
    """The whole answer to a request; a listener whom the online store does not know has just signed up."""
    try:
        answer = await path.answer(surface, request)
    except UnknownListenerError:
        answer = await path.answer(surface, replace(request, picks=()))
    if answer.level != WHOLE or answer.trace.errors:
        raise SegueError(
            f"A measured page is decided by all stages. Those of {request.request_id} ended with "
            f"{dict(answer.trace.outcomes)}.",
            "Free the machine of other work, and run the benchmark again.",
        )
    return answer


def rows_of(world: World, page: ShownPage) -> Rows:
    """The items of each shelf of a page, as the world numbers them."""
    return [[world.item_index[item.item_id] for item in shelf.items] for shelf in page.shelves]

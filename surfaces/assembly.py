"""Single recommendations from the folders of a home, for callers without a gateway."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from segue.settings import Home
from surfaces.catalogue import Catalogue
from surfaces.compose import Recommendation, compose
from surfaces.engine.path import PATIENT, Surface
from surfaces.engine.path import Path as RequestPath
from surfaces.hydrate import Features
from surfaces.request import Request
from surfaces.sources.every import RANKED_LIST
from surfaces.versions import Models

Quiet = Callable[[], AbstractContextManager]
# The models have the filters that a request may name, so none is applied again.
LIST: Surface[tuple[Recommendation, ...]] = Surface("list", RANKED_LIST, (), compose, ())


@dataclass(frozen=True)
class Answer:
    """A request's list beside the listener's features, whose histories have the newest entry first."""

    request: Request
    features: Features
    items: tuple[Recommendation, ...]


def recommend_once(
    home: Home,
    catalogue: Catalogue,
    hydrated: Sequence[tuple[Request, Features]],
    server: str | None = None,
    quiet: Quiet = nullcontext,
) -> list[Answer]:
    """The answers to some requests, in the requests' order.

    The features are read before the call, so that an unknown listener is refused before a model server is started.

    Args:
        home: the home whose model store is served.
        catalogue: the titles of the items.
        hydrated: a request with its features for each listener; picks are in the catalogue.
        server: `host:port` of a running model server; None starts one in this process for the time of the call.
        quiet: a context in which that server is started, e.g. to hold back what TensorFlow prints.

    Raises:
        InputError, UnavailableError, SegueError: what a model answers instead of a list; see `AsyncClient`. A list that
            the ranking model did not order is not answered.
    """
    with model_server(server, home.models, quiet) as address:
        return asyncio.run(recommend_by(address, catalogue, hydrated))


async def recommend_by(
    address: str, catalogue: Catalogue, hydrated: Sequence[tuple[Request, Features]]
) -> list[Answer]:
    """The answers of the models at an address; otherwise as `recommend_once`."""
    from serving.client.async_client import AsyncClient

    answers = []
    async with AsyncClient(address) as client:
        models = Models(client)
        await models.refresh()
        for request, features in hydrated:
            items = await recommend(models, catalogue, request, features)
            answers.append(Answer(request, features, items))
    return answers


async def recommend(
    models: Models, catalogue: Catalogue, request: Request, features: Features
) -> tuple[Recommendation, ...]:
    """The list of one request by the stages of the gateway; errors as in `recommend_once`."""

    async def hydrate(_: Request) -> Features:
        return features

    answer = await RequestPath(models, hydrate, catalogue, PATIENT).answer(LIST, request)
    for error in answer.trace.errors.values():
        raise error
    return answer.page


@contextmanager
def model_server(address: str | None, models: Path, quiet: Quiet = nullcontext) -> Iterator[str]:
    """The address of a model server: the given one, or one that runs in this process while the body runs."""
    if address:
        yield address
        return
    with ExitStack() as stack:
        with quiet():
            from serving.run_server import ModelServer
            from serving.server_config import ServerConfig

            server = stack.enter_context(ModelServer(ServerConfig(model_config_file=models / "models.config")))
        yield server.address

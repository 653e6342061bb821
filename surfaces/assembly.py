"""The request path put together from the folders of a home, for callers without a long-lived server."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from segue.settings import Home
from surfaces.compose import Recommendation
from surfaces.hydrate import Features, OnlineFeatures
from surfaces.recommender import Recommender
from surfaces.request import Request

Quiet = Callable[[], AbstractContextManager]


@dataclass(frozen=True)
class Answer:
    """A request's list beside the listener's features, whose histories have the newest entry first."""

    request: Request
    features: Features
    items: list[Recommendation]


def recommend_once(
    home: Home,
    features: OnlineFeatures,
    titles: Mapping[str, str],
    hydrated: Sequence[tuple[Request, Features]],
    server: str | None = None,
    quiet: Quiet = nullcontext,
) -> list[Answer]:
    """The answers to some requests, in the requests' order.

    The features are read before the call, so that an unknown listener is refused before a model server is started.

    Args:
        home: the home whose model store is served.
        features: the online store of that home.
        titles: item id -> title.
        hydrated: a request with its features for each listener; picks are in the catalogue (see
            `surfaces.titles.check_picks`).
        server: `host:port` of a running model server; None starts one in this process for the time of the call.
        quiet: a context in which that server is started, e.g. to hold back what TensorFlow prints.

    Raises:
        InputError, UnavailableError, SegueError: see `Recommender.recommend`.
    """
    from serving.client.sync_client import Client

    with model_server(server, home.models, quiet) as address, Client(address) as client:
        recommender = Recommender(client, features, titles)
        return [Answer(request, read, recommender.answer(request, read)) for request, read in hydrated]


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

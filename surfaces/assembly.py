"""The request path put together from the folders of a home, for callers without a long-lived server."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path

from segue.settings import Home
from serving.client.sync_client import Client
from surfaces.compose import Recommendation
from surfaces.hydrate import OnlineFeatures
from surfaces.recommender import Recommender
from surfaces.request import Request

Quiet = Callable[[], AbstractContextManager]


def recommend_once(
    home: Home,
    requests: Sequence[Request],
    titles: Mapping[str, str],
    at: datetime | None = None,
    server: str | None = None,
    quiet: Quiet = nullcontext,
) -> tuple[datetime, list[list[Recommendation]]]:
    """The lists for some requests that are made at one instant.

    All features are read first, so that an unknown listener is refused before a model server is started.

    Args:
        home: the home with the online store and the model store.
        requests: one for each listener; their picks are in the catalogue (see `surfaces.titles.check_picks`).
        titles: item id -> title.
        at: the instant of the requests; None for that of the newest event (see `OnlineFeatures.hydrate_all`).
        server: `host:port` of a running model server; None starts one in this process for the time of the call.
        quiet: a context in which slow libraries are loaded, e.g. to hold back what TensorFlow prints.

    Returns:
        The instant, and the list for each request.

    Raises:
        InputError, UnavailableError, SegueError: see `Recommender.recommend`.
    """
    with quiet():
        online_features = OnlineFeatures(home)
    at, hydrated = online_features.hydrate_all(requests, at)
    with model_server(server, home.models, quiet) as address, Client(address) as client:
        recommender = Recommender(client, online_features, titles)
        return at, [recommender.answer(*pair) for pair in zip(requests, hydrated, strict=True)]


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

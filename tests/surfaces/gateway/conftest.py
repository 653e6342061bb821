"""A gateway in this process: a fake model server, everything else as it runs."""

import asyncio
import contextlib
from datetime import timedelta
from types import SimpleNamespace

import httpx
import pytest

from events.journal.journal import Journal
from events.journal.sqlite_keeping import SqliteKeeping
from segue.errors import UnavailableError
from surfaces.arms.assigned import Experiments
from surfaces.engine.path import PATIENT, Path
from surfaces.gateway.app import create_app
from surfaces.gateway.gateway import Gateway
from surfaces.home.layout import LayoutPolicy
from surfaces.home.rules import HomeRules
from surfaces.home.surface import home_surface
from surfaces.hydrate import UnknownListenerError, cold_start, with_request
from surfaces.now_playing.feedback import FeedbackPath
from surfaces.now_playing.sessions import Sessions
from surfaces.now_playing.writers import Writers
from surfaces.request import Exploration
from surfaces.versions import Models
from tests.support.soon import SECONDS
from tests.surfaces.catalogues import make_catalogue
from tests.surfaces.conftest import NOW, FakeServer

IDS = [str(number) for number in range(1, 41)]
GENRES = ("rock", "jazz", "pop")
NEW_RELEASES = "/v1/new-releases"
USERS = [f"u{number}" for number in range(1, 10)]


def items_of(page):
    """The items of a Home page, in reading order."""
    return [item for shelf in page["shelves"] for item in shelf["items"]]


def catalogue():
    """Forty songs in three genres, all released; the last two are podcasts, and number 7 is explicit."""
    items = {
        item: {
            "title": f"Title {item}",
            "creator_id": f"c{int(item) % 11}",
            "creator": f"Creator {int(item) % 11}",
            "genres": (GENRES[int(item) % 3],),
            "release": (NOW - timedelta(days=int(item))).date(),
            "duration_ms": 1000 * int(item),
            "content_type": "podcast" if item in ("39", "40") else "music",
            "explicit": item == "7",
        }
        for item in IDS
    }
    popularity = {"": {item: float(item) for item in IDS}, "SE": {"1": 5.0, "2": 4.0, "7": 9.0, "3": 3.0, "5": 2.0}}
    return make_catalogue(items, popularity, similar={"1": {"4": 0.5, "5": 0.4, "6": 0.3}})


class ModelServer(FakeServer):
    """A model server that finds every item: retrieval the first half best, the sequence model the second."""

    def __init__(self):
        super().__init__(
            old={item: float(item) / 10 for item in IDS[:30]},
            new={item: float(item) for item in IDS[:10]},
            following={item: float(item) / 10 for item in IDS[20:]},
        )
        self.failing: set[str] = set()

    async def status(self, model, timeout, **named):
        if "server" in self.failing:
            raise UnavailableError("the model server is down", "")
        return await super().status(model, timeout, **named)

    async def predict(self, model, *rest, **named):
        if {model, "server"} & self.failing:
            raise UnavailableError(f"{model} is down", "")
        return await super().predict(model, *rest, **named)

    @staticmethod
    def lists(rows):
        return FakeServer.lists(rows, width=50)


class OnlineStore:
    """Knows the listeners u1 to u9, who heard item 1, or what `heard` names."""

    def __init__(self):
        self.failing = False
        self.heard = ["1"]

    async def __call__(self, request):
        if self.failing:
            raise UnavailableError("the online store is down", "")
        if request.picks is not None:
            return with_request(cold_start(request.picks, request.timestamp), request)
        if request.user_id not in {f"u{n}" for n in range(1, 10)}:
            raise UnknownListenerError(f"{request.user_id!r} is not known", "Check the id.")
        history = {
            "history_items": self.heard,
            "history_actions": ["play"] * len(self.heard),
            "history_times": [request.timestamp - 9999] * len(self.heard),
        }
        return with_request(history | {"country": "SE"}, request)


class Pushes:
    """An online store that takes every push."""

    def __init__(self):
        self.interactions = []

    def extend(self, interactions):
        self.interactions += interactions


@pytest.fixture
def world(tmp_path):
    """What the gateway of a test stands on; the test may let it fail."""
    return SimpleNamespace(
        server=ModelServer(),
        online=OnlineStore(),
        pushes=Pushes(),
        now=NOW,
        off=frozenset(),
        journal=tmp_path / "journal.db",
        experiments=Experiments(),
        tokens=(),
    )


@contextlib.asynccontextmanager
async def open_client(world):
    """A client of a gateway over a world: `client.gateway` is the gateway."""
    models = Models(world.server)
    models.choices = world.experiments.choices
    with contextlib.suppress(UnavailableError):
        await models.refresh()
    journal = Journal(SqliteKeeping(world.journal))
    sessions, writers = Sessions(), Writers(lambda: world.pushes, lambda: [])
    gateway = Gateway(
        Path(models, world.online, catalogue(), PATIENT, world.off, world.experiments),
        home_surface(LayoutPolicy(), HomeRules(fewest_items=2)),
        journal,
        sessions,
        FeedbackPath(sessions, writers),
        lambda: world.now,
        Exploration(),
    )
    transport = httpx.ASGITransport(create_app(gateway, world.tokens), raise_app_exceptions=False)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            client.gateway, client.models = gateway, models
            yield client
    finally:
        writers.close()
        journal.close()


@pytest.fixture
def talk(world):
    """Run a coroutine function with a client of a gateway over `world`: `talk(async def conversation(client))`."""

    def run(conversation):
        async def whole():
            async with open_client(world) as client:
                return await conversation(client)

        return asyncio.run(whole())

    return run


@pytest.fixture
def post(talk):
    """One call in a gateway of its own: `post("/v1/home", user_id="u1")` gives the response."""

    def call(path, **body):
        async def conversation(client):
            return await client.post(path, json=body)

        return talk(conversation)

    return call


@pytest.fixture
def answers(talk):
    """A page for each listener of some endpoint, with its exposures: `answers("/v1/home", **body)`."""

    def ask(path, **body):
        async def conversation(client):
            found = []
            for user in USERS:
                if path == NEW_RELEASES:
                    response = await client.get(path, params={"user_id": user})
                else:
                    # A page is drawn by its request's id: named ids give the same pages in every run.
                    request = {"request_id": f"{path.rpartition('/')[2]}-{user}", "user_id": user, **body}
                    response = await client.post(path.format(user=user), json=request)
                page = response.json()
                client.gateway.journal.append([]).result(SECONDS)  # what was handed over before is durable
                found.append((page, client.gateway.journal.exposures(page["request_id"])))
            return found

        return talk(conversation)

    return ask

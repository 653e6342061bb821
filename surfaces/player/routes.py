"""The player's pages and read endpoints, and how they are added to the gateway's application."""

import asyncio
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Query
from fastapi import Request as HttpRequest
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from segue.errors import UnavailableError
from surfaces.engine.stage import Trace
from surfaces.gateway.api import MOST_PICKS, Id
from surfaces.gateway.gateway import Gateway
from surfaces.gateway.views import item
from surfaces.hydrate import Features, UnknownListenerError
from surfaces.now_playing.moods import MOODS
from surfaces.operator.routes import mount as mount_operator
from surfaces.player import api, profiles
from surfaces.player.explain import explanation
from surfaces.player.guard import guard
from surfaces.player.player import Player
from surfaces.player.static_files import Pages
from surfaces.request import Request

STATIC = Path(__file__).with_name("static")
LISTENERS = 12  # that are listed at once
# At a history: each has the deadline of a request, which can go on without it, and this cannot. A store that failed is
# opened a second later at the earliest, and a busy machine is late again and again.
ATTEMPTS, PAUSE_SECONDS = 5, 0.3


def mount(app: FastAPI, player: Player) -> None:
    """Add the player, and the operator's page if there is one, to the gateway's application, and guard all of it."""
    app.state.player = player
    app.include_router(routes)
    app.mount("/player", Pages(directory=STATIC, html=True))
    if player.operator:
        mount_operator(app, player.operator)
    guard(app, player.read_only)


def gateway_of(request: HttpRequest) -> Gateway:
    """The gateway that answers a request."""
    return request.app.state.gateway


def player_of(request: HttpRequest) -> Player:
    """The settings of the pages."""
    return request.app.state.player


Answering = Annotated[Gateway, Depends(gateway_of)]
Settings = Annotated[Player, Depends(player_of)]
routes = APIRouter(include_in_schema=False)


@routes.get("/")
async def root() -> Response:
    """The pages."""
    return RedirectResponse("/player/")


@routes.get("/v1/player/settings")
async def settings(gateway: Answering, player: Settings) -> api.Settings:
    """What the pages need to know once."""
    catalogue = gateway.catalogue
    genres = set(catalogue.genre_names)
    return api.Settings(
        read_only=player.read_only,
        genres=sorted(genres),
        moods=[word for word, mood in MOODS.items() if mood.newer or mood.rarer or genres & set(mood.genres)],
        types=list(catalogue.types),
        markets=sorted(catalogue.known_markets),
        newest_release=profiles.newest_release(catalogue, gateway.clock()),
        operator=player.operator is not None,
    )


@routes.get("/v1/player/listeners")
async def listeners(
    gateway: Answering, player: Settings, q: Annotated[str, Query(max_length=256)] = ""
) -> api.Listeners:
    """The first listeners whose id contains a text."""
    found = player.listeners.matching(q, LISTENERS)
    read = [await features_of(gateway, user_id) for user_id in found]
    return api.Listeners(
        listeners=[
            api.ListenerSummary(**profiles.summary(user_id, features, gateway.catalogue))
            for user_id, features in zip(found, read, strict=True)
        ]
    )


@routes.get("/v1/player/listener")
async def listener(gateway: Answering, user_id: Annotated[Id, Query()]) -> api.Profile:
    """A listener with history and taste; both are empty for a listener whom the online store does not know."""
    return profiles.profile(user_id, await features_of(gateway, user_id), gateway.catalogue)


@routes.get("/v1/player/picks")
async def picks(gateway: Answering, market: Annotated[str, Query(max_length=256)] = "") -> api.Picks:
    """Items that a new listener may pick from."""
    return api.Picks(items=[item(row, gateway.catalogue) for row in profiles.picks(gateway.catalogue, market)])


@routes.get("/v1/player/why")
async def why(
    gateway: Answering,
    user_id: Annotated[Id, Query()],
    request_id: Annotated[Id, Query()],
    item_id: Annotated[Id, Query()],
    pick: Annotated[tuple[Id, ...], Query(max_length=MOST_PICKS)] = (),
) -> api.Explanation:
    """Why an item was shown to a listener, in words."""
    found = await gateway.why(request_id, item_id, user_id)
    if found is None:
        raise HTTPException(404, f"Request {request_id!r} did not show the item {item_id!r}.")
    return explanation(found, await features_of(gateway, user_id, pick), gateway.catalogue)


async def features_of(gateway: Gateway, user_id: str, picked: tuple[str, ...] = ()) -> Features:
    """The features of a listener now; those of a new listener if the online store does not know them.

    Raises:
        UnavailableError: the online store does not answer in time; a page goes on without it, but a history cannot.
    """
    path, at, models, surface = gateway.path, gateway.clock(), gateway.path.models.current, gateway.home_surface.name
    for _ in range(ATTEMPTS):
        trace = Trace()
        try:
            context = await path.context(surface, Request(user_id, at), models, trace)
        except UnknownListenerError:
            context = await path.context(surface, Request(user_id, at, picks=picked), models, trace)
        if not trace.errors:
            return context.features
        await asyncio.sleep(PAUSE_SECONDS)
    raise UnavailableError("The online store does not answer in time.", "Try again.")

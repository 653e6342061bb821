"""The gateway's HTTP application: routes, and errors as statuses."""

from collections.abc import Collection
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, FastAPI, Query
from fastapi import Request as HttpRequest
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException

from segue.errors import InputError, SegueError, UnavailableError
from surfaces.gateway import api
from surfaces.gateway.feedback import UnknownItemError
from surfaces.gateway.gateway import Gateway
from surfaces.gateway.limits import RETRY_SECONDS, Limits
from surfaces.gateway.next_items import NextAnswer, NextRequest, next_items
from surfaces.gateway.pages import ConflictError, Decision
from surfaces.gateway.simulated_clock import SimulatedClock
from surfaces.hydrate import UnknownListenerError
from surfaces.now_playing.sessions import OtherListenersSessionError
from surfaces.player.player import Player
from surfaces.player.routes import mount

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": api.Problem, "description": description}
    for status, description in {
        400: "The body is not JSON.",
        401: "The caller's token is missing or wrong.",
        404: "There is no such listener, item or request.",
        408: "The body did not arrive in time.",
        409: "What the request names belongs to another listener, or the request id to another request.",
        413: "The body has more than 64 KiB.",
        422: "A field breaks its rule.",
        500: "The gateway has a fault; its log has the cause.",
        503: "A store that the answer needs does not answer, or too many pages are decided now; try again.",
    }.items()
}


def create_app(
    gateway: Gateway, tokens: Collection[str] = (), simulated_clock: bool = False, player: Player | None = None
) -> FastAPI:
    """The application of a gateway.

    Args:
        gateway: answers.
        tokens: the callers' tokens; empty lets everyone in.
        simulated_clock: whether each request says what time it is; the gateway's clock is then `simulated_now`.
        player: the settings of the player's pages; None for no pages.
    """
    app = application()
    app.state.gateway = gateway
    if player:
        mount(app, player)
    if simulated_clock:
        app.add_middleware(SimulatedClock)
    app.add_middleware(Limits, metrics=gateway.metrics, tokens=tokens)
    return app


def application() -> FastAPI:
    """The routes and the errors, without what answers."""
    app = FastAPI(title="Segue gateway", version="1", docs_url=None, redoc_url=None, responses=PROBLEMS)
    app.include_router(routes)
    return with_errors(app)


def with_errors(app: FastAPI) -> FastAPI:
    """Add the errors as statuses to an application."""
    for kind in (SegueError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, problem)
    return app


async def gateway_of(request: HttpRequest) -> Gateway:
    """The gateway that answers a request. A plain function would run on a thread."""
    return request.app.state.gateway


Answering = Annotated[Gateway, Depends(gateway_of)]
routes = APIRouter()


@routes.post("/v1/home", response_model=api.HomeAnswer)
async def home(body: api.HomeRequest, gateway: Answering) -> Response:
    """A Home page."""
    return shown(gateway, *await gateway.home(body))


@routes.post("/v1/sessions/{session_id}/next", response_model=NextAnswer)
async def next_of_session(session_id: api.Id, body: NextRequest, gateway: Answering) -> Response:
    """The next items of a session."""
    return shown(gateway, *await next_items(gateway, session_id, body))


def shown(gateway: Gateway, answer: dict[str, Any], decision: Decision) -> Response:
    """An answer that shows items; its decision goes to the journal once it is sent."""
    return Response(
        orjson.dumps(answer), media_type="application/json", background=BackgroundTask(gateway.write, decision)
    )


@routes.post("/v1/events")
async def events(body: api.Events, gateway: Answering) -> api.EventsAnswer:
    """Take a batch of events. It is answered once they are durable."""
    return await gateway.events(body)


@routes.post("/v1/dislikes")
async def dislikes(body: api.DislikeRequest, gateway: Answering) -> api.Dislikes:
    """Show a listener neither an item nor its creator again, or take that back. It is answered once it is durable."""
    return await gateway.dislike(body)


@routes.get("/v1/why/{request_id}/{item_id}")
async def why(request_id: api.Id, item_id: api.Id, gateway: Answering) -> api.Why:
    """Why an item was shown. The caller is a service, and answers for who may read it."""
    found = await gateway.why(request_id, item_id)
    if found is None:
        raise HTTPException(404, f"Request {request_id!r} did not show the item {item_id!r}.")
    return found


@routes.get("/v1/new-releases", response_model=api.ListAnswer)
async def new_releases(
    gateway: Answering,
    user_id: Annotated[api.Id, Query()],
    market: Annotated[api.Id | None, Query()] = None,
    k: Annotated[int, Query(ge=1, le=api.MOST_ITEMS)] = 20,
) -> Response:
    """The releases of the last two weeks that fit a listener best."""
    return shown(gateway, *await gateway.new_releases(user_id, market or "", k))


@routes.get("/v1/items/{item_id}")
async def item(item_id: api.Id, gateway: Answering) -> api.Item:
    """An item of the catalogue."""
    known = gateway.item(item_id)
    if known is None:
        raise HTTPException(404, f"There is no item {item_id!r}.")
    return known


@routes.get("/healthz", response_class=PlainTextResponse)
async def healthz() -> str:
    """The process answers."""
    return "ok"


@routes.get("/readyz")
async def readyz(gateway: Answering) -> api.State:
    """What the gateway stands on."""
    return gateway.state()


@routes.get("/metrics", response_class=PlainTextResponse)
async def metrics(gateway: Answering) -> PlainTextResponse:
    """Metrics in the text format of Prometheus."""
    return PlainTextResponse(gateway.metrics.text(), media_type="text/plain; version=0.0.4")


async def problem(request: HttpRequest, error: Exception) -> Response:
    """An error as its status and `{"error": ..., "fix": ...}`."""
    headers: dict[str, str] = {}
    fix = ""
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        status = 400 if first["type"] == "json_invalid" else 422
        headline = (
            f"{place}: {first['msg']}." if place and status == 422 else f"The body is not valid JSON: {first['msg']}."
        )
        fix = "See /openapi.json for the fields and their rules."
    elif isinstance(error, HTTPException):
        status, headline, headers = error.status_code, str(error.detail), dict(error.headers or {})
        fix = "See /openapi.json for the endpoints."
    elif not isinstance(error, SegueError):  # it is raised again, and uvicorn logs it
        status, headline = 500, "The gateway failed at this request."
        fix = "Send the request again; the log of the gateway has the cause."
    else:
        status, headline, fix = status_of(error), error.headline, error.fix
        if status == 503:
            headers["Retry-After"] = str(RETRY_SECONDS)
    return JSONResponse({"error": headline, "fix": fix}, status, headers)


def status_of(error: SegueError) -> int:
    """The status of an error for people."""
    if isinstance(error, UnknownListenerError | UnknownItemError):
        return 404
    if isinstance(error, ConflictError | OtherListenersSessionError):
        return 409
    if isinstance(error, InputError):
        return 422
    return 503 if isinstance(error, UnavailableError) else 500

"""The gateway's HTTP application: routes, and errors as statuses."""

from collections.abc import Collection
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import FastAPI, Query
from fastapi import Request as HttpRequest
from fastapi.exceptions import RequestValidationError
from fastapi.responses import ORJSONResponse, PlainTextResponse, Response
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException

from segue.errors import InputError, SegueError, UnavailableError
from surfaces.gateway import api
from surfaces.gateway.gateway import Gateway
from surfaces.gateway.limits import Limits
from surfaces.gateway.pages import ConflictError
from surfaces.gateway.simulated_clock import SimulatedClock
from surfaces.hydrate import UnknownListenerError

RETRY_SECONDS = 1
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": api.Problem, "description": description}
    for status, description in {
        400: "The body is not JSON.",
        401: "The caller's token is missing or wrong.",
        404: "There is no such listener, item or request.",
        408: "The body did not arrive in time.",
        409: "What the request names belongs to another listener.",
        413: "The body has more than 64 KiB.",
        422: "A field breaks its rule.",
        503: "A store that the answer needs does not answer; try again.",
    }.items()
}


def create_app(gateway: Gateway, tokens: Collection[str] = (), simulated_clock: bool = False) -> FastAPI:
    """The application of a gateway.

    Args:
        gateway: answers.
        tokens: the callers' tokens; empty lets everyone in.
        simulated_clock: whether each request says what time it is; the gateway's clock is then `simulated_now`.
    """
    app = FastAPI(title="Segue gateway", version=version("segue"), docs_url=None, redoc_url=None, responses=PROBLEMS)
    if simulated_clock:
        app.add_middleware(SimulatedClock)
    app.add_middleware(Limits, metrics=gateway.metrics, tokens=tokens)
    for kind in (SegueError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, problem)

    @app.post("/v1/home", response_model=api.HomeAnswer)
    async def home(body: api.HomeRequest) -> Response:
        """A Home page."""
        answer, decision = await gateway.home(body)
        return ORJSONResponse(answer.model_dump(), background=BackgroundTask(gateway.write, decision))

    @app.get("/v1/new-releases", response_model=api.ListAnswer)
    async def new_releases(
        user_id: Annotated[api.Id, Query()],
        market: Annotated[api.Id | None, Query()] = None,
        k: Annotated[int, Query(ge=1, le=api.MOST_ITEMS)] = 20,
    ) -> Response:
        """The releases of the last two weeks that fit a listener best."""
        answer, decision = await gateway.new_releases(user_id, market or "", k)
        return ORJSONResponse(answer.model_dump(), background=BackgroundTask(gateway.write, decision))

    @app.get("/v1/items/{item_id}", response_model=api.Item)
    async def item(item_id: api.Id) -> api.Item:
        """An item of the catalogue."""
        known = gateway.item(item_id)
        if known is None:
            raise HTTPException(404, f"There is no item {item_id!r}.")
        return known

    @app.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        """The process answers."""
        return "ok"

    @app.get("/readyz", response_model=api.State)
    async def readyz() -> api.State:
        """What the gateway stands on."""
        return gateway.state()

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        """Metrics in the text format of Prometheus."""
        return PlainTextResponse(gateway.metrics.text(), media_type="text/plain; version=0.0.4")

    return app


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
    else:
        assert isinstance(error, SegueError)
        status, headline, fix = status_of(error), error.headline, error.fix
        if status == 503:
            headers["Retry-After"] = str(RETRY_SECONDS)
    return ORJSONResponse({"error": headline, "fix": fix}, status, headers)


def status_of(error: SegueError) -> int:
    """The status of an error for people."""
    if isinstance(error, UnknownListenerError):
        return 404
    if isinstance(error, ConflictError):
        return 409
    if isinstance(error, InputError):
        return 422
    return 503 if isinstance(error, UnavailableError) else 500

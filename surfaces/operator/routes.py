"""The operator's pages and endpoints, and how they are added to an application."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, FastAPI
from fastapi import Request as HttpRequest
from fastapi.responses import FileResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from surfaces.operator.operator import Operator
from surfaces.operator.traffic import traffic
from surfaces.player.static_files import HEADERS, Pages

STATIC = Path(__file__).with_name("static")
# Reports come from libraries, with scripts and styles in the page. They run in a sandbox without an origin, so they
# reach neither the gateway nor another host.
REPORT_HEADERS = HEADERS | {
    "Content-Security-Policy": "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; frame-ancestors 'self'"
}
KINDS = {"evaluation": "text/plain; charset=utf-8", "log": "text/plain; charset=utf-8", "drift": "text/html"}
STARTING = (
    "<!doctype html><meta charset=utf-8><title>Starting</title><p>{name} is starting. This page goes on by itself."
)


class Reason(BaseModel):
    """Why a person does something; it is recorded."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    why: str = Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")


class Promotion(Reason):
    """The version that becomes stable; without one, the canary."""

    version: int | None = Field(None, ge=1)


def mount(app: FastAPI, operator: Operator) -> None:
    """Add the operator's pages to an application, which has a guard."""
    app.state.operator = operator
    app.include_router(routes)
    app.mount("/operator", Pages(directory=STATIC, html=True))


def operator_of(request: HttpRequest) -> Operator:
    """The operator's page of the application."""
    return request.app.state.operator


Asked = Annotated[Operator, Depends(operator_of)]
routes = APIRouter(include_in_schema=False)


def answer(value: Any) -> Response:
    """JSON types, in which a figure may be NaN."""
    return Response(orjson.dumps(value), media_type="application/json")


@routes.get("/v1/operator/overview")
def overview(request: HttpRequest, operator: Asked) -> Response:
    """The loop now. `gateway` is None where none runs."""
    gateway = getattr(request.app.state, "gateway", None)
    return answer(
        {
            **operator.operations.overview(),
            "gateway": traffic(gateway) if gateway else None,
            "read_only": request.app.state.read_only,
            "links": list(operator.links),
        }
    )


@routes.get("/v1/operator/runs/{name}")
def run(name: str, operator: Asked) -> Response:
    """A run."""
    return answer(operator.operations.run(name))


@routes.get("/v1/operator/models/{name}")
def model(name: str, operator: Asked) -> Response:
    """A model."""
    return answer(operator.operations.model(name))


@routes.get("/v1/operator/monitoring")
def monitoring(operator: Asked) -> Response:
    """The loop over time."""
    return answer(operator.operations.monitoring())


@routes.get("/v1/operator/drift")
def drift(operator: Asked) -> Response:
    """The last drift verdict."""
    return answer(operator.operations.drift())


@routes.post("/v1/operator/promote")
def promote(body: Promotion, operator: Asked) -> Response:
    """Make a version stable."""
    return answer(operator.operations.promote(body.version, body.why))


@routes.post("/v1/operator/rollback")
def roll_back(body: Reason, operator: Asked) -> Response:
    """Take the candidate, or the last push, back."""
    return answer(operator.operations.roll_back(body.why))


@routes.post("/v1/operator/train", status_code=202)
async def train(body: Reason, operator: Asked) -> Response:
    """Start a training run."""
    # On a thread of asyncio's own pool, which stays: the kernel ends a child with the thread that started it.
    await asyncio.to_thread(operator.operations.train, body.why)
    return Response(status_code=202)


@routes.get("/operator/runs/{name}/{report}")
def run_report(name: str, report: str, operator: Asked) -> Response:
    """A run's evaluation, log or drift report."""
    path = operator.operations.run_report(name, report)
    return FileResponse(path, headers=REPORT_HEADERS, media_type=KINDS[report])


@routes.get("/operator/drift/report")
def drift_page(operator: Asked) -> Response:
    """Evidently's page of the last comparison."""
    return FileResponse(operator.operations.drift_page(), headers=REPORT_HEADERS, media_type="text/html")


@routes.get("/operator/experiments/{name}")
def scorecard(name: str, operator: Asked) -> Response:
    """The scorecard of an experiment."""
    return Response(operator.operations.scorecard(name), headers=REPORT_HEADERS, media_type="text/html")


@routes.get("/operator/open/{name}")
async def opened(name: str, operator: Asked) -> Response:
    """Another server's pages; the server starts when it is first asked for."""
    if name not in operator.links:
        raise HTTPException(404, f"There is no link {name!r}.")
    address = await asyncio.to_thread(operator.links[name])
    if address:
        return RedirectResponse(address)
    return Response(STARTING.format(name=name), media_type="text/html", headers=HEADERS | {"Refresh": "1"})

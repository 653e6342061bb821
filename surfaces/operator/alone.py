"""The operator's page without a gateway, for a home that has no models to serve yet."""

from fastapi import FastAPI
from fastapi.responses import RedirectResponse, Response

from surfaces.gateway.app import with_errors
from surfaces.operator.operator import Operator
from surfaces.operator.routes import mount
from surfaces.player.guard import guard
from surfaces.player.routes import STATIC as PLAYER
from surfaces.player.static_files import Pages


def operator_app(operator: Operator, read_only: bool) -> FastAPI:
    """The application of the operator's page alone."""
    app = with_errors(FastAPI(docs_url=None, redoc_url=None, openapi_url=None))

    @app.get("/")
    async def root() -> Response:
        """The page."""
        return RedirectResponse("/operator/")

    mount(app, operator)
    app.mount("/player", Pages(directory=PLAYER))  # the styles and scripts that both share
    guard(app, read_only)
    return app

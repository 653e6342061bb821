"""A clock that each request sets, for a gateway whose listeners are simulated."""

from contextvars import ContextVar
from datetime import UTC, datetime

from starlette.types import ASGIApp, Receive, Scope, Send

from surfaces.gateway.limits import refuse

HEADER = "X-Segue-Now"

_now: ContextVar[datetime] = ContextVar("simulated_now")


def simulated_now() -> datetime:
    """The time that the header of the current request says, UTC."""
    return _now.get()


class SimulatedClock:
    """Middleware that takes the time of each request from its header `X-Segue-Now`, and refuses one without it.

    Args:
        app: the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. The probes and the metrics need no time."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(HEADER.lower().encode(), b"").decode("latin-1")
        try:
            moment = datetime.fromisoformat(given)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            rule = f"The clock is simulated: {HEADER} is a time in ISO 8601 with a zone. Received {given[:80]!r}."
            await refuse(send, 422, rule, "Send it, or start the gateway without --simulated-clock.")
            return
        _now.set(moment.astimezone(UTC))
        await self._app(scope, receive, send)

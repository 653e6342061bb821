"""The gateway as the simulated listeners use it: at their time, and patient while it does not answer."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from events import schema
from segue.errors import InputError, UnavailableError
from surfaces.gateway import api
from surfaces.gateway.client import GatewayClient
from surfaces.gateway.next_items import NextRequest
from workloads.simulation.served import Shown

HOME = schema.SURFACES.index("home")
TRACKS = 10  # of one answer of Now Playing
TRIES, PAUSE_SECONDS, TIMEOUT_SECONDS = 20, 0.5, 30.0

Answer = TypeVar("Answer")


class Gateway:
    """Calls a gateway with a simulated clock. Every method raises UnavailableError if it does not answer for long.

    Args:
        address: `http://host:port`.
    """

    def __init__(self, address: str) -> None:
        self._client = GatewayClient(address, timeout=TIMEOUT_SECONDS)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def page(
        self, user_id: str, request_id: str, session_id: str, surface: int, at: datetime, dislikes: list[str]
    ) -> Shown:
        """Return the page that a listener is shown on Home or, as one row, the next tracks of a session.

        A listener whom the gateway does not know is asked for as one who has just signed up.

        Args:
            user_id, request_id, session_id: Names of the listener, the request and the session.
            surface: Position in `schema.SURFACES`.
            at: Time of the request.
            dislikes: Items that the listener has said no to since the last tracks of the session; Home takes none.

        Raises:
            InputError: The gateway refuses the request.
        """

        def ask(picks: list[str] | None) -> Shown:
            body = {"user_id": user_id, "request_id": request_id, "picks": picks}
            if surface == HOME:
                page = self._client.home(api.HomeRequest.model_validate({**body, "session_id": session_id}))
                return shown(page, [shelf.items for shelf in page.shelves])
            request = NextRequest.model_validate({**body, "k": TRACKS, "dislikes": dislikes})
            tracks = self._client.next(session_id, request)
            return shown(tracks, [tracks.items])

        self._client.now = at
        try:
            return patiently(lambda: ask(None))
        except InputError:
            return patiently(lambda: ask([]))

    def tell(self, events: list[dict[str, Any]], at: datetime) -> None:
        """Send events. They are durable when this returns, and events that were sent before count for nothing.

        Raises:
            InputError: The gateway refuses the events.
        """
        self._client.now = at
        patiently(lambda: self._client.events([api.Event.model_validate(event) for event in events]))


def shown(answer: api.Decided, rows: list[list[api.PlacedItem]]) -> Shown:
    """Return an answer as a page of these rows, without the empty ones."""
    rows = [items for items in rows if items]
    return Shown(
        request_id=answer.request_id,
        rows=[[item.item_id for item in items] for items in rows],
        explored=[[item.explored for item in items] for items in rows],
        level=answer.level,
        versions=answer.versions,
    )


def patiently(call: Callable[[], Answer]) -> Answer:
    """Return the result of a call, which is repeated while the gateway does not answer."""
    for _ in range(TRIES - 1):
        try:
            return call()
        except UnavailableError:
            time.sleep(PAUSE_SECONDS)
    return call()

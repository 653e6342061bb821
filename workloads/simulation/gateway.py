"""The gateway as the simulated listeners use it: at their time, and patient while it does not answer."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from events import schema
from feature_repo.online import session_state
from segue.errors import InputError, UnavailableError
from surfaces.gateway import api
from surfaces.gateway.client import GatewayClient
from surfaces.gateway.next_items import NextRequest
from workloads.simulation.served import Shown

if TYPE_CHECKING:
    from feast import FeatureStore

HOME = schema.SURFACES.index("home")
TRACKS = 10  # of one answer of Now Playing
TRIES, PAUSE_SECONDS, TIMEOUT_SECONDS = 20, 0.5, 30.0
ONLINE_TRIES, ONLINE_SECONDS = 400, 0.005  # events that were sent before a kill are counted already: 2 s pass then

Answer = TypeVar("Answer")


class Gateway:
    """Calls a gateway with a simulated clock. Every method raises UnavailableError if it does not answer for long.

    Args:
        address: `http://host:port`.
        store: The feature store whose online part the gateway writes to.
    """

    def __init__(self, address: str, store: "FeatureStore") -> None:
        self._client = GatewayClient(address, timeout=TIMEOUT_SECONDS)
        self._store = store

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

    def tell(self, events: list[dict[str, Any]]) -> None:
        """Send the events of a session's page, when the last of them happens.

        They are durable and online when this returns; events that were sent before count for nothing. The clock jumps
        to the next page, so the milliseconds that a push takes would otherwise hide the events from that page.

        Raises:
            InputError: The gateway refuses the events.
        """
        session, done = events[0]["session_id"], sum(event["action"] in schema.INTERACTIONS for event in events)
        wanted = self._counted(session) + done
        self._client.now = max(datetime.fromisoformat(event["ts"]) for event in events)
        patiently(lambda: self._client.events([api.Event.model_validate(event) for event in events]))
        for _ in range(ONLINE_TRIES):
            if self._counted(session) >= wanted:
                return
            time.sleep(ONLINE_SECONDS)

    def _counted(self, session: str) -> float:
        """Return how many interactions of a session are online."""
        return sum(session_state(self._store, session).values())


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

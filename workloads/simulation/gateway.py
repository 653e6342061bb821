"""The gateway as the simulated listeners see it: an HTTP server with a clock that each request sets."""

import time
from datetime import datetime
from typing import Any

import httpx

from events import schema
from segue.errors import SegueError, UnavailableError
from surfaces.gateway.simulated_clock import HEADER
from workloads.simulation.served import Shown

HOME = schema.SURFACES.index("home")
TRACKS = 10  # of one answer of Now Playing
RETRIES, PAUSE_SECONDS = 20, 0.5


class Gateway:
    """Calls a gateway.

    Args:
        address: `http://host:port`.
    """

    def __init__(self, address: str) -> None:
        self._client = httpx.Client(base_url=address, timeout=30)

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
            UnavailableError: The gateway does not answer.
            SegueError: The gateway refuses the request.
        """
        body: dict[str, Any] = {"user_id": user_id, "request_id": request_id}
        if surface == HOME:
            path, body = "/v1/home", {**body, "session_id": session_id}
        else:
            path, body = f"/v1/sessions/{session_id}/next", {**body, "k": TRACKS, "dislikes": dislikes}
        answer = self._post(path, body, at, allowed=404)
        if answer is None:
            answer = self._post(path, {**body, "picks": []}, at)
        shelves = [shelf["items"] for shelf in answer["shelves"]] if surface == HOME else [answer["items"]]
        return Shown(
            rows=[[item["item_id"] for item in items] for items in shelves if items],
            explored=[[bool(item.get("explored")) for item in items] for items in shelves if items],
            level=answer["level"],
            versions=answer["versions"],
        )

    def tell(self, events: list[dict[str, Any]], at: datetime) -> None:
        """Send events. They are durable when this returns, and events that were sent before count for nothing.

        Raises:
            UnavailableError: The gateway does not answer.
            SegueError: The gateway refuses the events.
        """
        self._post("/v1/events", {"events": events}, at)

    def _post(self, path: str, body: dict[str, Any], at: datetime, allowed: int | None = None) -> Any:
        """Return the answer to a request at a simulated time; None for the status `allowed`. 503 is tried again."""
        for _ in range(RETRIES):
            try:
                response = self._client.post(path, json=body, headers={HEADER: at.isoformat()})
            except httpx.TransportError as error:
                reason = str(error)
            else:
                if response.status_code == allowed:
                    return None
                if response.is_success:
                    return response.json()
                reason = response.text
                if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    raise SegueError(
                        f"The gateway answers {response.status_code} to POST {path}: {reason:.300}",
                        "The gateway's log says more. `segue simulate` goes on from this request.",
                    )
            time.sleep(PAUSE_SECONDS)
        raise UnavailableError(
            f"The gateway at {self._client.base_url} does not answer: {reason:.300}",
            "Run `segue simulate` again: it goes on from this request.",
        )

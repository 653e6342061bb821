"""The typed Python client of the gateway."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from segue.errors import InputError, SegueError, UnavailableError
from surfaces.gateway import api
from surfaces.gateway.limits import BODY_BYTES
from surfaces.gateway.next_items import NextAnswer, NextRequest
from surfaces.gateway.simulated_clock import HEADER

ENVELOPE_BYTES = len('{"events":[]}')
Answer = TypeVar("Answer", bound=BaseModel)


class GatewayClient:
    """Calls one gateway. Safe to share between threads. Close it, or use it in a `with`.

    Args:
        address: e.g. `http://127.0.0.1:8700`.
        token: of the caller; empty where the gateway asks for none.
        timeout: seconds for a call.

    Attributes:
        now: what time it is for a gateway with a simulated clock; None for any other.

    Every method raises:
        InputError: the gateway refuses the request; the text has the rule.
        UnavailableError: the gateway does not answer, or asks to try again later. The same call may be repeated with
            the same request and event ids.
        SegueError: any other failure.
    """

    def __init__(self, address: str, token: str = "", timeout: float = 10.0) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.now: datetime | None = None
        self._http = httpx.Client(base_url=address, headers=headers, timeout=timeout, trust_env=False)

    def __enter__(self) -> "GatewayClient":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def home(self, request: api.HomeRequest) -> api.HomeAnswer:
        """A Home page."""
        return self._call("POST", "/v1/home", api.HomeAnswer, request)

    def next(self, session_id: str, request: NextRequest) -> NextAnswer:
        """The next items of a session."""
        return self._call("POST", f"/v1/sessions/{quoted(session_id)}/next", NextAnswer, request)

    def events(self, events: Sequence[api.Event]) -> api.EventsAnswer:
        """Hand over events, in as many batches as they need; they are durable when this returns.

        If a batch fails, the journal has the batches before it. Send all events again: each counts once.
        """
        answers = [self._call("POST", "/v1/events", api.EventsAnswer, batch) for batch in batches(events)]
        return api.EventsAnswer(
            accepted=sum(answer.accepted for answer in answers), duplicates=sum(answer.duplicates for answer in answers)
        )

    def dislike(self, request: api.DislikeRequest) -> api.Dislikes:
        """Keep for good that a listener dislikes an item, or take it back; it is durable when this returns."""
        return self._call("POST", "/v1/dislikes", api.Dislikes, request)

    def item(self, item_id: str) -> api.Item:
        """An item of the catalogue."""
        return self._call("GET", f"/v1/items/{quoted(item_id)}", api.Item)

    def why(self, request_id: str, item_id: str) -> api.Why:
        """Why an item was shown."""
        return self._call("GET", f"/v1/why/{quoted(request_id)}/{quoted(item_id)}", api.Why)

    def new_releases(self, user_id: str, market: str | None = None, k: int = 20) -> api.ListAnswer:
        """The releases of the last two weeks that fit a listener best."""
        query: dict[str, Any] = {"user_id": user_id, "k": k, **({"market": market} if market else {})}
        return self._call("GET", "/v1/new-releases", api.ListAnswer, query=query)

    def state(self) -> api.State:
        """What the gateway stands on."""
        return self._call("GET", "/readyz", api.State)

    def _call(
        self,
        method: str,
        path: str,
        answer: type[Answer],
        body: BaseModel | None = None,
        query: dict[str, Any] | None = None,
    ) -> Answer:
        content = body.model_dump_json(exclude_none=True) if body else None
        headers = {"Content-Type": "application/json"} if body else {}
        if self.now:
            headers[HEADER] = self.now.isoformat()
        try:
            response = self._http.request(method, path, content=content, headers=headers, params=query)
        except httpx.TransportError as error:
            raise UnavailableError(
                f"The gateway at {self._http.base_url} gave no answer: {error!r}.",
                "Check that it runs (`segue gateway`) and that the address is right.",
            ) from error
        if response.is_success:
            return answer.model_validate_json(response.content)
        raise as_error(response)


def batches(events: Sequence[api.Event]) -> Iterator[api.Events]:
    """Yield events as bodies that the gateway takes: with at most 500 events and 64 KiB each."""
    batch: list[api.Event] = []
    size = 0
    for event in events:
        more = len(event.model_dump_json(exclude_none=True).encode()) + len(",")
        if batch and (len(batch) == api.MOST_EVENTS or size + more > BODY_BYTES - ENVELOPE_BYTES):
            yield api.Events(events=batch)
            batch, size = [], 0
        batch.append(event)
        size += more
    yield api.Events(events=batch)


def quoted(name: str) -> str:
    """An id as one segment of a path."""
    return quote(name, safe="")


def as_error(response: httpx.Response) -> SegueError:
    """The error of an answer that is none."""
    try:
        problem = api.Problem.model_validate_json(response.content)
    except ValueError:  # a proxy's answer, or that of another server
        problem = api.Problem(error=f"The gateway answered {response.status_code}.", fix="See its log.")
    if response.status_code == 503:
        return UnavailableError(problem.error, problem.fix)
    return (InputError if response.status_code < 500 else SegueError)(problem.error, problem.fix)

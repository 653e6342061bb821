"""Listeners that use a gateway while parts of it are killed, and a ledger of what it acknowledged."""

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import httpx

from events.schema import INTERACTIONS
from segue.errors import SegueError, UnavailableError
from surfaces.gateway import api
from surfaces.gateway.client import GatewayClient
from surfaces.gateway.next_items import NextRequest

PACE = 1.0  # seconds between two visits of a listener
EVENTS, VISITS = 3, 16  # of a visit, and visits with events: an online history holds 50
RETRY_SECONDS = 1.0  # as the gateway's Retry-After says
UP_SECONDS = 600.0  # in which a killed gateway is started again

Answer = TypeVar("Answer")


@dataclass
class Ledger:
    """What the clients know. Lists and sets take additions from several threads.

    Attributes:
        requests: how many were sent.
        retried: errors of the requests that were sent a second time.
        pages: ids of the requests that were answered with items.
        events: acknowledged events.
        wrong: requests that failed twice, or as no request should; a sentence each.
    """

    requests: list[float] = field(default_factory=list)
    retried: list[str] = field(default_factory=list)
    pages: set[str] = field(default_factory=set)
    events: list[api.Event] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Load:
    """Listeners at work, each in a thread, from the start to the end of the `with`.

    Args:
        address: of the gateway.
        name: of the round; it begins all ids.
        users: the listeners.
    """

    def __init__(self, address: str, name: str, users: Sequence[str]) -> None:
        self.ledger = Ledger()
        self._address, self._name = address, name
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._listen, args=(user,)) for user in users]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def session(self, user: str) -> str:
        """The session of a listener in this round."""
        return f"{self._name}-{user}"

    def _listen(self, user: str) -> None:
        """Visit Home, ask for the next items, and send what was played, until the load ends."""
        session = self.session(user)
        with GatewayClient(self._address) as client:
            for visit in itertools.count():
                ids = [f"{session}-{visit}-{surface}" for surface in ("home", "next")]
                home = api.HomeRequest(user_id=user, request_id=ids[0], session_id=session)
                following = NextRequest(user_id=user, request_id=ids[1])
                page = self._ask(lambda home=home: client.home(home))
                answer = self._ask(lambda following=following: client.next(session, following))
                items = [item for shelf in page.shelves for item in shelf.items] if page else []
                shown = [(ids[0], items[:EVENTS]), (ids[1], answer.items[:EVENTS] if answer else [])]
                self.ledger.pages.update(request for request, some in shown if some)
                request, played = shown[visit % 2]
                batch = [self._event(request, user, session, n, item.item_id) for n, item in enumerate(played)]
                if batch and visit < VISITS and self._ask(lambda batch=batch: client.events(batch)):
                    self.ledger.events.extend(batch)
                if self._ended.wait(PACE):
                    return

    def _event(self, request: str, user: str, session: str, number: int, item: str) -> api.Event:
        return api.Event(
            event_id=f"{request}-{number}",
            request_id=request,
            user_id=user,
            session_id=session,
            item_id=item,
            action=INTERACTIONS[number % len(INTERACTIONS)],
            ts=datetime.now(UTC),
        )

    def _ask(self, call: Callable[[], Answer]) -> Answer | None:
        """The answer of a call, which is sent once more if the gateway does not answer or asks for it."""
        began = time.monotonic()
        try:
            return call()
        except UnavailableError as error:
            self.ledger.retried.append(error.headline)
        except SegueError as error:
            self.ledger.wrong.append(f"refused: {error.headline}")
            return None
        finally:
            self.ledger.requests.append(time.monotonic() - began)
        time.sleep(RETRY_SECONDS)
        self._until_up()
        try:
            return call()
        except SegueError as error:
            self.ledger.wrong.append(f"failed twice: {error.headline}")
            return None

    def _until_up(self) -> None:
        """Wait for a gateway that was killed."""
        deadline = time.monotonic() + UP_SECONDS
        while time.monotonic() < deadline:
            try:
                httpx.get(f"{self._address}/healthz", trust_env=False, timeout=10)
                return
            except httpx.TransportError:
                time.sleep(0.1)

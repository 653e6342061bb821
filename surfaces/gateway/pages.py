"""The pages that were shown last, in memory: for a repeated request, for `why`, and for when the models are down."""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from segue.errors import InputError
from surfaces.engine.page import ShownItem, ShownPage, ShownShelf

MOST = 2_000  # pages


class ConflictError(InputError):
    """What a request names belongs to another listener, or to another request."""


def conflict(request_id: str, user_id: str) -> ConflictError:
    """The error for a request id that does not name this listener's request."""
    return ConflictError(
        f"A request id names one request of one listener. {request_id!r} is not one of {user_id!r} here.",
        "Send the request id of the page that the listener saw; a new request has a new id, or none.",
    )


@dataclass(frozen=True)
class Decision:
    """A page as it was decided for a request.

    Attributes:
        request_id, user_id, session_id: of the request.
        at: the moment of the decision, UTC.
        kind: what was asked for: `home`, `new_releases` or `now_playing`.
        surface: where it is shown, as in the schema.
        page: what is shown.
        versions: the model versions that decided.
        degraded: the stages whose fallback stood in.
        features: the features of the listener and the session that were served, as in `Trace`.
        arms: the arms of experiments that decided, by experiment.
    """

    request_id: str
    user_id: str
    session_id: str | None
    at: datetime
    kind: str
    surface: str
    page: ShownPage
    versions: dict[str, int]
    degraded: tuple[str, ...] = ()
    features: str = ""
    arms: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    """A decision as bytes: a Home page is some 15 KB, and no object that the garbage collector must visit.

    Attributes:
        user_id: of the decision.
        packed: the decision, pickled by this process.
    """

    user_id: str
    packed: bytes

    @classmethod
    def of(cls, decision: Decision) -> "Kept":
        """A decision to keep. It is pickled as plain tuples, in half the time of its classes."""
        page = decision.page
        shelves = [
            (shelf.id, shelf.title, shelf.reason, [tuple(item) for item in shelf.items]) for shelf in page.shelves
        ]
        plain = {**vars(decision), "page": {**vars(page), "shelves": shelves}}
        return cls(decision.user_id, pickle.dumps(plain, pickle.HIGHEST_PROTOCOL))

    @property
    def decision(self) -> Decision:
        """The decision again."""
        plain = pickle.loads(self.packed)
        shelves = tuple(
            ShownShelf(shelf_id, title, reason, tuple(map(ShownItem._make, items)))
            for shelf_id, title, reason, items in plain["page"]["shelves"]
        )
        return Decision(**{**plain, "page": ShownPage(**{**plain["page"], "shelves": shelves})})

    @property
    def page(self) -> ShownPage:
        """The page of the decision."""
        return self.decision.page


class Pages:
    """The decisions of this process. All calls come from one event loop.

    Args:
        most: how many are kept, by request and by listener; the one that was used least recently is dropped first.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._by_request: OrderedDict[str, Kept] = OrderedDict()
        self._by_listener: OrderedDict[tuple[str, str], Kept] = OrderedDict()

    def put(self, decision: Decision) -> None:
        """Keep a decision."""
        kept = Kept.of(decision)
        self._keep(self._by_request, decision.request_id, kept)
        if decision.page.level <= 1 and decision.page.shelves:
            self._keep(self._by_listener, (decision.user_id, decision.kind), kept)

    def of_request(self, request_id: str, user_id: str) -> Kept | None:
        """The decision of a request; None if this process did not make it, or made it too long ago.

        Args:
            request_id: the request.
            user_id: the listener.

        Raises:
            ConflictError: the request is another listener's.
        """
        kept = self._by_request.get(request_id)
        if kept and kept.user_id != user_id:
            raise conflict(request_id, user_id)
        return kept

    def decided(self, request_id: str) -> Decision | None:
        """The decision of a request, whoever asks."""
        kept = self._by_request.get(request_id)
        return kept.decision if kept else None

    def last(self, user_id: str, kind: str) -> ShownPage | None:
        """The last page of a kind that models decided for a listener."""
        kept = self._by_listener.get((user_id, kind))
        return kept.page if kept else None

    def forget(self, gone: Callable[[str], bool]) -> None:
        """Drop the decisions for the listeners for whom `gone` is true."""
        every: tuple[OrderedDict[Any, Kept], ...] = (self._by_request, self._by_listener)
        for pages in every:
            for key in [key for key, kept in pages.items() if gone(kept.user_id)]:
                del pages[key]

    def _keep(self, pages: OrderedDict[Any, Kept], key: Any, kept: Kept) -> None:
        pages[key] = kept
        pages.move_to_end(key)
        if len(pages) > self._most:
            pages.popitem(last=False)

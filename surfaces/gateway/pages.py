"""The pages that were shown last, in memory: for a repeated request, for `why`, and for when the models are down."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from segue.errors import InputError
from surfaces.engine.page import ShownPage

MOST = 2_000  # pages; a full Home page takes some 0.1 MB


class ConflictError(InputError):
    """What a request names belongs to another listener."""


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
    arms: dict[str, str] = field(default_factory=dict)


class Pages:
    """The decisions of this process. All calls come from one event loop.

    Args:
        most: how many are kept, by request and by listener; the one that was used least recently is dropped first.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._by_request: OrderedDict[str, Decision] = OrderedDict()
        self._by_listener: OrderedDict[tuple[str, str], Decision] = OrderedDict()

    def put(self, decision: Decision) -> None:
        """Keep a decision."""
        self._keep(self._by_request, decision.request_id, decision)
        if decision.page.level <= 1 and decision.page.shelves:
            self._keep(self._by_listener, (decision.user_id, decision.kind), decision)

    def of_request(self, request_id: str, user_id: str, kind: str = "") -> Decision | None:
        """The decision of a request; None if this process did not make it, or made it too long ago.

        Args:
            request_id: the request.
            user_id: the listener.
            kind: what must have been asked for; '' for anything.

        Raises:
            ConflictError: the request is another listener's, or asked for something else.
        """
        decision = self._by_request.get(request_id)
        if decision and (decision.user_id != user_id or (kind and decision.kind != kind)):
            raise ConflictError(
                f"A request id names one request of one listener. {request_id!r} is not one of {user_id!r} here.",
                "Send the request id of the page that the listener saw; a new request has a new id, or none.",
            )
        return decision

    def decided(self, request_id: str) -> Decision | None:
        """The decision of a request, whoever asks."""
        return self._by_request.get(request_id)

    def last(self, user_id: str, kind: str) -> ShownPage | None:
        """The last page of a kind that models decided for a listener."""
        decision = self._by_listener.get((user_id, kind))
        return decision.page if decision else None

    def forget(self, gone: Callable[[str], bool]) -> None:
        """Drop the decisions for the listeners for whom `gone` is true."""
        self._drop(self._by_request, gone)
        self._drop(self._by_listener, gone)

    def _drop(self, kept: OrderedDict[Any, Decision], gone: Callable[[str], bool]) -> None:
        for key in [key for key, decision in kept.items() if gone(decision.user_id)]:
            del kept[key]

    def _keep(self, kept: OrderedDict[Any, Decision], key: Any, decision: Decision) -> None:
        kept[key] = decision
        kept.move_to_end(key)
        if len(kept) > self._most:
            kept.popitem(last=False)

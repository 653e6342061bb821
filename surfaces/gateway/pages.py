"""The pages that were shown last, in memory: for a repeated request, for `why`, and for when the models are down."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from segue.errors import InputError
from surfaces.engine.page import ShownPage

MOST = 10_000  # pages; some 200 MB of full Home pages


class ConflictError(InputError):
    """What a request names belongs to another listener."""


@dataclass(frozen=True)
class Decision:
    """A page as it was decided for a request.

    Attributes:
        request_id, user_id, session_id: of the request.
        at: the moment of the decision, UTC.
        surface: where it is shown.
        page: what is shown.
        versions: the model versions that decided.
        degraded: the stages whose fallback stood in.
    """

    request_id: str
    user_id: str
    session_id: str | None
    at: datetime
    surface: str
    page: ShownPage
    versions: dict[str, int]
    degraded: tuple[str, ...] = ()


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
            self._keep(self._by_listener, (decision.user_id, decision.surface), decision)

    def of_request(self, request_id: str, user_id: str | None = None) -> Decision | None:
        """The decision of a request; None if this process did not make it, or made it too long ago.

        Raises:
            ConflictError: the request is another listener's.
        """
        decision = self._by_request.get(request_id)
        if decision and user_id is not None and decision.user_id != user_id:
            raise ConflictError(
                f"A request belongs to one listener. {request_id!r} is not a request of {user_id!r}.",
                "Send the request id of the page that the listener saw.",
            )
        return decision

    def last(self, user_id: str, surface: str) -> ShownPage | None:
        """The last page of a listener on a surface that models decided."""
        decision = self._by_listener.get((user_id, surface))
        return decision.page if decision else None

    def _keep(self, kept: OrderedDict[Any, Decision], key: Any, decision: Decision) -> None:
        kept[key] = decision
        kept.move_to_end(key)
        if len(kept) > self._most:
            kept.popitem(last=False)

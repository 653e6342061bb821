"""A request for a list of items: who asks, when and where, and which items may be answered."""

import hashlib
import math
from dataclasses import dataclass
from datetime import datetime

from segue.errors import InputError


@dataclass(frozen=True)
class Exploration:
    """How much of a list may go to items that few listeners have played yet.

    Args:
        budget: the share of a list's places that may be explored, from 0 (none) to 0.5.
        bonus: how much the reward of a candidate with uncertainty 1 is raised when it competes for such a place,
            at least 0.

    Raises:
        InputError: the budget or the bonus lies outside its range.
    """

    budget: float = 0.1
    bonus: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.budget <= 0.5:
            raise InputError(
                f"An exploration budget lies from 0 to 0.5. Received {self.budget}.",
                "Give the share of a list's places that may be explored, e.g. 0.1.",
            )
        if not 0 <= self.bonus < math.inf:
            raise InputError(f"An exploration bonus is at least 0. Received {self.bonus}.", "Give e.g. 0.3.")

    def places(self, k: int) -> int:
        """How many places of a list of `k` items may be explored: rounded down, so that no list exceeds the budget."""
        return math.floor(self.budget * k + 1e-9)  # 0.29 * 100 is 28.999999999999996


NO_EXPLORATION = Exploration(budget=0.0)


@dataclass(frozen=True)
class Request:
    """One listener's request for a list of items.

    Args:
        user_id: the listener.
        at: the instant of the request, with its time zone. Features of a later instant are not used.
        surface: where the list is shown, e.g. `home`.
        k: how many items to answer, at least 1.
        session_id: the session whose plays and skips count; None for no session.
        picks: of a new listener, the items chosen at sign-up, in the order of the choice; may be empty. None for a
            listener whom the online store knows.
        content_types: the content types to answer, e.g. `("music", "podcast")`; empty for all.
        market: the market in which the items must be available; empty for no bound.
        exploration: how much of the list may be explored.
        explicit: whether items marked as explicit may be answered.
        dislikes: items that the listener does not want to be shown now.
        lasting_dislikes: items that the listener never wants to be shown, nor others of their creators.
        rows: the most shelves of a page; None for the surface's own rule.
        request_id: names the request in the journal, and seeds everything that is drawn for it.
        fixed: parameters that the caller has set, by their names for arms of experiments, which leave them alone.

    Raises:
        InputError: `k` is below 1, or `at` has no time zone.
    """

    user_id: str
    at: datetime
    surface: str = "home"
    k: int = 10
    session_id: str | None = None
    picks: tuple[str, ...] | None = None
    content_types: tuple[str, ...] = ()
    market: str = ""
    exploration: Exploration = NO_EXPLORATION
    explicit: bool = True
    dislikes: tuple[str, ...] = ()
    lasting_dislikes: tuple[str, ...] = ()
    rows: int | None = None
    request_id: str = ""
    fixed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.k < 1:
            raise InputError(f"A request asks for at least 1 item. Received k={self.k}.", "Give k=1 or more.")
        if self.at.tzinfo is None:
            raise InputError(f"The instant of a request has a time zone. Received {self.at}.", "Give it in UTC.")

    @property
    def timestamp(self) -> int:
        """The instant of the request in whole seconds since 1970 UTC."""
        return int(self.at.timestamp())

    def seed(self, purpose: str) -> int:
        """The seed of numpy's `PCG64` for one purpose: the same request draws the same page again."""
        return int.from_bytes(hashlib.sha256((self.request_id + purpose).encode()).digest()[:8])

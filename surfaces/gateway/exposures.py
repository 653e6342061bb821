"""A decision and the journal: written as one exposure an item shown, and found again by its request id."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby

from events.journal.journal import Journal
from events.journal.records import Exposure
from segue.errors import UnavailableError
from surfaces.engine.page import ShownItem, ShownPage, ShownShelf
from surfaces.gateway.pages import Decision, Pages, conflict
from surfaces.hydrate import fingerprint
from surfaces.new_releases import NEW_RELEASES
from surfaces.request import Request

HOME = "home"
MOST_FEATURES = 8192  # characters of the features that a page's record keeps; usually there are some 2,500
THREADS = 4  # that search the journal
RECALL_SECONDS = 0.2  # the longest wait of a page for the journal; the deadlines of its stages run meanwhile


def exposures(decision: Decision) -> list[Exposure]:
    """The exposures of a page, in reading order; none of an empty page."""
    page, features = decision.page, decision.features
    served = features if len(features) <= MOST_FEATURES else ""
    of_features = fingerprint(features)
    return [
        Exposure(
            request_id=decision.request_id,
            user_id=decision.user_id,
            session_id=decision.session_id,
            ts=decision.at,
            surface=decision.surface,
            shelf=shelf.id,
            row=item.row,
            column=item.column,
            position=item.position,
            item_id=item.item_id,
            policy=page.policy,
            policy_version=page.policy_version,
            model_versions=decision.versions,
            arms=decision.arms,
            propensity=item.propensity,
            layout_propensity=page.layout_propensity,
            scores=item.scores,
            sources=item.sources,
            fallback=page.level,
            degraded=decision.degraded,
            features=of_features,
            served=served,
            title=shelf.title,
            reason=shelf.reason,
        )
        for shelf in page.shelves
        for item in shelf.items
    ]


def remembered(shown: Sequence[Exposure]) -> Decision:
    """The decision behind the exposures of a page, which are in reading order."""
    first = shown[0]
    # A Home page may begin with such a shelf too, which has a title there.
    is_new_releases = first.surface == HOME and first.shelf == NEW_RELEASES.name and not first.title
    kind = NEW_RELEASES.name if is_new_releases else first.surface
    shelves = tuple(
        ShownShelf(shelf, title, reason, tuple(map(item, some)))
        for (shelf, title, reason), some in groupby(shown, lambda one: (one.shelf, one.title, one.reason))
    )
    page = ShownPage(shelves, first.policy, first.policy_version, first.layout_propensity, first.fallback)
    return Decision(
        first.request_id,
        first.user_id,
        first.session_id,
        first.ts,
        kind,
        first.surface,
        page,
        first.model_versions,
        first.degraded,
        first.served,
        first.arms,
    )


def item(shown: Exposure) -> ShownItem:
    """An item of a page as it was shown."""
    explored = shown.surface == HOME and shown.propensity < 1  # elsewhere every place is drawn
    return ShownItem(
        shown.item_id, shown.row, shown.column, shown.position, shown.propensity, explored, shown.scores, shown.sources
    )


class Recall:
    """Finds in the journal what was shown.

    It has threads of its own, so that a journal that hangs holds up nothing else. While one search is late no other
    begins, so that not every request waits for a journal that hangs. All calls come from one event loop.

    Args:
        journal: has the pages of all processes.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="recall")
        self._late: set[Future[list[Exposure]]] = set()

    async def shown(self, request_id: str, seconds: float) -> list[Exposure]:
        """The exposures of a request in reading order; none if the journal does not have it.

        Args:
            request_id: the request.
            seconds: the longest wait.

        Raises:
            UnavailableError: the journal does not answer in time, or is damaged.
        """
        if self._late:
            raise UnavailableError("The journal is late to say what was shown.", "Try again.")
        search = self._threads.submit(self._journal.exposures, request_id)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.wrap_future(search)
        except Exception as error:  # whatever it is, it is the journal's
            if late := isinstance(error, TimeoutError):
                self._late.add(search)
                search.add_done_callback(self._late.discard)
            reason = "no answer in time" if late else error
            raise UnavailableError(f"The journal does not say what was shown: {reason}.", "Try again.") from error


class Repeated:
    """Decides a request id of a client once: also if it comes twice at a time, or again after a restart.

    All calls come from one event loop.

    Args:
        pages: the decisions in memory.
        recall: finds the pages that an earlier process decided.
    """

    def __init__(self, pages: Pages, recall: Recall) -> None:
        self._pages, self._recall = pages, recall
        self._running: dict[str, asyncio.Task[Decision]] = {}

    async def decision(self, request: Request, kind: str, decide: Callable[[], Awaitable[Decision]]) -> Decision:
        """The decision of a request: the one in memory, the one under way, that of the journal, or a new one.

        Args:
            request: the request, with the id that the client gave it.
            kind: what is asked for, as in `Decision`.
            decide: makes a new decision and remembers it.

        Raises:
            ConflictError: the request id is another listener's, of another session, or asked for something else.
        """
        decision = self._pages.decided(request.request_id)
        if decision is None:
            running = self._running.get(request.request_id)
            if running is None:
                running = asyncio.ensure_future(self._first(request.request_id, decide))
                self._running[request.request_id] = running
                running.add_done_callback(lambda _: self._running.pop(request.request_id))
            decision = await asyncio.shield(running)  # a client that has gone does not end it for another one
        if (decision.user_id, decision.session_id, decision.kind) != (request.user_id, request.session_id, kind):
            raise conflict(request.request_id, request.user_id)
        return decision

    async def _first(self, request_id: str, decide: Callable[[], Awaitable[Decision]]) -> Decision:
        try:
            shown = await self._recall.shown(request_id, RECALL_SECONDS)
        except UnavailableError:  # no page waits for the journal
            shown = []
        if not shown:
            return await decide()
        decision = remembered(shown)
        self._pages.put(decision)
        return decision

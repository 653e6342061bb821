"""The gateway without HTTP: every endpoint as a method that takes and answers the API's types."""

import asyncio
import logging
import math
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any

from events.journal.journal import Journal
from events.journal.records import Dislike
from segue.errors import SegueError, UnavailableError
from segue.near_names import check_known
from surfaces.catalogue import Catalogue
from surfaces.cohorts.shadow import Shadow
from surfaces.dislikes import Dislikes
from surfaces.engine.finalize import StandIn, finalize, popular_page
from surfaces.engine.metrics import GatewayMetrics, Reading
from surfaces.engine.page import EMPTY, ShownPage
from surfaces.engine.path import POPULAR, Answer, Path, Surface
from surfaces.engine.stage import Stage, Trace
from surfaces.gateway import api
from surfaces.gateway.exposures import Recall, Repeated, exposures
from surfaces.gateway.feedback import WAIT_SECONDS, UnknownItemError, take_events
from surfaces.gateway.pages import Decision, Pages, conflict
from surfaces.gateway.views import item, placed_items, shelves, why
from surfaces.new_releases import NEW_RELEASES, newest
from surfaces.now_playing.answer import NowPlaying
from surfaces.now_playing.feedback import FeedbackPath
from surfaces.now_playing.sessions import Sessions
from surfaces.request import Exploration, Request

log = logging.getLogger(__name__)

# Parameters of arms that a request for Home may set itself, and its field.
OF_THE_CALLER = {"home.rows": "k_rows", "home.exploration.budget": "explore"}


class Gateway:
    """Decides, remembers what it decided, and writes it to the journal. All calls come from one event loop.

    Args:
        path: the stages of a request.
        home: the surface of Home pages.
        journal: keeps exposures and events.
        sessions: of Now Playing, in memory.
        feedback: brings events to the sessions and the online store.
        clock: the current time, UTC.
        exploration: of a request that does not name a budget.
    """

    def __init__(
        self,
        path: Path,
        home: Surface[ShownPage],
        journal: Journal,
        sessions: Sessions,
        feedback: FeedbackPath,
        clock: Callable[[], datetime],
        exploration: Exploration,
    ) -> None:
        self.path = path
        self.journal = journal
        self.clock = clock
        self.metrics = GatewayMetrics()
        self.pages = Pages()
        self._recall = Recall(journal)
        self._repeated = Repeated(self.pages, self._recall)
        self.dislikes = Dislikes()
        self.home_surface = home  # replaced when a layout policy is pushed
        self.now_playing = NowPlaying(path, sessions)
        self._feedback = feedback
        self._journal: Stage[Decision, None] = Stage("journal", self._append, lambda decision: None, math.inf)
        self._features_failed = False  # at the last request
        writers = feedback.writers
        self.metrics.readings += [
            Reading("segue_gateway_journal_backlog", "gauge", "Records that are not durable yet.", journal.backlog),
            Reading("segue_gateway_online_backlog", "gauge", "Interactions that wait to be online.", writers.backlog),
            Reading("segue_gateway_pushes_total", "counter", "Interactions put online.", lambda: writers.pushed),
            Reading(
                "segue_gateway_dropped_pushes_total",
                "counter",
                "Interactions left to a replay of the journal.",
                lambda: writers.dropped,
            ),
        ]
        self._exploration = exploration
        self.shadow = Shadow(path, self.metrics)

    @property
    def catalogue(self) -> Catalogue:
        """The items."""
        return self.path.catalogue

    async def home(self, body: api.HomeRequest) -> tuple[dict[str, Any], Decision]:
        """A Home page as an `api.HomeAnswer`, and the decision to write to the journal once it is answered.

        Raises:
            OtherListenersSessionError: the session is another listener's.
            ConflictError, InputError: see `once` and `decide`.
        """
        session = self.now_playing.sessions.get(body.session_id, body.user_id) if body.session_id else None
        request = Request(
            user_id=body.user_id,
            at=self.clock(),
            session_id=body.session_id,
            picks=None if body.picks is None else tuple(body.picks),
            content_types=tuple(body.content_types),
            market=body.market or "",
            exploration=self._exploration if body.explore is None else Exploration(body.explore),
            explicit=body.explicit,
            dislikes=session.state.dislikes if session else (),
            lasting_dislikes=self.dislikes.of(body.user_id),
            rows=body.k_rows,
            request_id=body.request_id or uuid.uuid4().hex,
            fixed=frozenset(name for name, field in OF_THE_CALLER.items() if getattr(body, field) is not None),
        )

        async def decide() -> Decision:
            return await self.decide(self.home_surface, request, popular_page)

        decision = await self.once(body.request_id, request, self.home_surface.name, decide)
        return {**said(decision), "shelves": shelves(decision, self.catalogue)}, decision

    async def new_releases(self, user_id: str, market: str, k: int) -> tuple[dict[str, Any], Decision]:
        """The new releases that fit a listener best, as an `api.ListAnswer`; otherwise as `home`."""
        request = Request(
            user_id,
            self.clock(),
            k=k,
            market=market,
            lasting_dislikes=self.dislikes.of(user_id),
            request_id=uuid.uuid4().hex,
        )
        decision = await self.decide(NEW_RELEASES, request, newest)
        return {**said(decision), "items": placed_items(decision, self.catalogue)}, decision

    async def events(self, body: api.Events) -> api.EventsAnswer:
        """Take a batch of events; see `take_events`."""
        return await take_events(body.events, self.clock(), self.catalogue, self.pages, self.journal, self._feedback)

    async def dislike(self, body: api.DislikeRequest) -> api.Dislikes:
        """Keep for good that a listener dislikes an item, or take it back; done once the journal has it.

        Raises:
            UnknownItemError: the catalogue does not have the item.
            UnavailableError: the journal does not answer.
        """
        if body.item_id not in self.catalogue.index and body.item_id not in self.dislikes.of(body.user_id):
            raise UnknownItemError(f"There is no item {body.item_id!r}.", "Send the item_id that was shown.")
        one = Dislike(uuid.uuid4().hex, body.user_id, body.item_id, self.clock(), body.withdrawn)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await asyncio.wrap_future(self.journal.dislike(one))
        except Exception as error:  # the record keeps the journal's rules, so any error is the journal's
            reason = "no answer in time" if isinstance(error, TimeoutError) else error
            raise UnavailableError(f"The journal did not keep the dislike: {reason}.", "Send it again.") from error
        self.dislikes.say(one)
        return api.Dislikes(user_id=body.user_id, items=list(self.dislikes.of(body.user_id)))

    async def why(self, request_id: str, item_id: str, user_id: str | None = None) -> api.Why | None:
        """Why an item was shown; None if it was not, or if the journal no longer has the request.

        Args:
            request_id: the request.
            item_id: the item.
            user_id: the listener who asks; None for a service, which may ask about every listener.

        Raises:
            ConflictError: the request is another listener's.
            UnavailableError: the journal does not answer, or is damaged.
        """
        decision = self.pages.decided(request_id)
        shown = exposures(decision) if decision else await self._recall.shown(request_id, WAIT_SECONDS)
        if user_id is not None and any(one.user_id != user_id for one in shown):
            raise conflict(request_id, user_id)
        return next((why(one, self.catalogue) for one in shown if one.item_id == item_id), None)

    async def once(
        self, named: str | None, request: Request, kind: str, decide: Callable[[], Awaitable[Decision]]
    ) -> Decision:
        """The decision of a request; that of before if the client has named it by an id that was decided already.

        Raises:
            ConflictError: the request id is another listener's, of another session, or asked for something else.
        """
        if named is None:
            return await decide()
        return await self._repeated.decision(request, kind, decide)

    async def decide(self, surface: Surface[ShownPage], request: Request, stand_in: StandIn) -> Decision:
        """The page of a request.

        Raises:
            UnknownListenerError: the online store does not know the listener.
            InputError: a pick, the market or a content type is not known.
        """
        self.check(request)
        answer = await self.path.answer(surface, request)
        finish: Stage[Answer[ShownPage], ShownPage] = Stage(
            "finalize",
            lambda answer: finalize(surface, answer, partial(self.pages.last, request.user_id, surface.name), stand_in),
            lambda answer: EMPTY.degraded_to(POPULAR),
            math.inf,  # it runs however late: without it there is no page
        )
        page = await finish(answer, answer.trace)
        decision = Decision(
            request.request_id,
            request.user_id,
            request.session_id,
            request.at,
            surface.name,
            request.surface,
            page,
            dict(answer.context.versions.versions),
            answer.trace.degraded,
            answer.trace.features,
            answer.context.arms.logged,
        )
        self.remember(decision, answer.trace)
        self.shadow.offer(surface, request, answer, page)
        return decision

    def check(self, request: Request) -> None:
        """Refuse picks, types and a market that are not known, as typing errors.

        Raises:
            InputError: one is not known; the fix names the nearest known ones.
        """
        self.catalogue.check(request.picks or ())
        for name in request.content_types:
            check_known("content type", name, self.catalogue.types)
        if request.market:
            check_known("market", request.market, self.catalogue.known_markets)

    def remember(self, decision: Decision, trace: Trace) -> None:
        """Keep a decision, count it, and log it if it is not whole."""
        self.pages.put(decision)
        kind, level = decision.kind, decision.page.level
        self.metrics.observe(kind, trace)
        self._features_failed = "features" in trace.errors
        self.metrics.levels.inc(kind, str(level))
        self.metrics.cohorts.count(self.path.experiments.split, decision, trace.began)
        if level or decision.degraded:
            stages = ", ".join(decision.degraded) or "none"
            log.warning("%s %s: level %d, fallbacks: %s", kind, decision.request_id, level, stages)

    async def write(self, decision: Decision) -> None:
        """The side effect after an answer, and its last stage: hand the exposures to the journal."""
        trace = Trace(off=self.path.off)
        await self._journal(decision, trace)
        self.metrics.observe(decision.kind, trace)

    def _append(self, decision: Decision) -> None:
        """Hand the exposures to the journal, which writes them on its own thread."""
        rows = exposures(decision)
        if not rows:
            return
        try:
            written = self.journal.append(rows)
        except SegueError as error:  # the page was answered already
            self._count_write(decision, "refused", error)
        else:
            written.add_done_callback(lambda done: self._count_write(decision, "failed", done.exception()))

    def _count_write(self, decision: Decision, how: str, error: BaseException | None) -> None:
        """Count whether the journal kept a page's exposures. If the write failed they are lost, and the log says so."""
        self.metrics.effects.inc("exposures", how if error else "ok")
        if error:
            log.error("the exposures of request %s are lost: %s", decision.request_id, error)

    def forget(self, gone: Callable[[str], bool]) -> None:
        """Drop all that is remembered of the listeners for whom `gone` is true."""
        self.pages.forget(gone)
        self.now_playing.sessions.forget(gone)
        self.dislikes.forget(gone)
        self._feedback.writers.forget(gone)

    def item(self, item_id: str) -> api.Item | None:
        """An item; None if the catalogue does not have it."""
        row = self.catalogue.index.get(item_id)
        return None if row is None else item(row, self.catalogue)

    def state(self) -> api.State:
        """What the gateway stands on. It is ready without any of it, because every stage has a fallback."""
        models, writers = self.path.models, self._feedback.writers
        stands_on = {
            "models": models.down or not models.current.versions,
            "reads of the online store": self._features_failed,
            "pushes to the online store": writers.trouble,
            "journal": self.journal.trouble,
        }
        down = [name for name, trouble in stands_on.items() if trouble]
        return api.State(ready=True, models=dict(self.path.models.current.versions), down=down)


def said(decision: Decision) -> dict[str, Any]:
    """What every answer says about its decision."""
    return {
        "request_id": decision.request_id,
        "level": decision.page.level,
        "degraded": list(decision.degraded),
        "versions": decision.versions,
    }

"""The gateway without HTTP: every endpoint as a method that takes and answers the API's types."""

import logging
import uuid
from collections.abc import Callable
from datetime import datetime

from events.journal.journal import Journal
from segue.errors import SegueError
from surfaces.catalogue import Catalogue
from surfaces.engine.finalize import finalize
from surfaces.engine.metrics import GatewayMetrics
from surfaces.engine.page import ShownPage
from surfaces.engine.path import Path, Surface
from surfaces.gateway import api
from surfaces.gateway.exposures import exposures
from surfaces.gateway.pages import Decision, Pages
from surfaces.gateway.views import item, placed_items, shelves
from surfaces.new_releases import NEW_RELEASES
from surfaces.request import Exploration, Request

log = logging.getLogger(__name__)

POPULAR_ITEMS = 20  # of a page that nothing but popularity decides


class Gateway:
    """Decides, remembers what it decided, and writes it to the journal. All calls come from one event loop.

    Args:
        path: the stages of a request.
        home: the surface of Home pages.
        journal: keeps exposures and events.
        clock: the current time, UTC.
        exploration: of a request that does not name a budget.
    """

    def __init__(
        self,
        path: Path,
        home: Surface[ShownPage],
        journal: Journal,
        clock: Callable[[], datetime],
        exploration: Exploration,
    ) -> None:
        self.path = path
        self.journal = journal
        self.clock = clock
        self.metrics = GatewayMetrics()
        self.pages = Pages()
        self._home = home
        self._exploration = exploration

    @property
    def catalogue(self) -> Catalogue:
        """The items."""
        return self.path.catalogue

    async def home(self, body: api.HomeRequest) -> tuple[api.HomeAnswer, Decision]:
        """A Home page, and the decision to write to the journal once it is answered.

        Raises:
            InputError: see `decide`.
        """
        request = Request(
            user_id=body.user_id,
            at=self.clock(),
            session_id=body.session_id,
            picks=None if body.picks is None else tuple(body.picks),
            content_types=tuple(body.content_types),
            market=body.market or "",
            exploration=self._exploration if body.explore is None else Exploration(body.explore),
            explicit=body.explicit,
            rows=body.k_rows,
            request_id=body.request_id or uuid.uuid4().hex,
        )
        decision = await self.decide(self._home, request)
        return api.HomeAnswer(**said(decision), shelves=shelves(decision, self.catalogue)), decision

    async def new_releases(self, user_id: str, market: str, k: int) -> tuple[api.ListAnswer, Decision]:
        """The new releases that fit a listener best; otherwise as `home`."""
        request = Request(user_id, self.clock(), k=k, market=market, request_id=uuid.uuid4().hex)
        decision = await self.decide(NEW_RELEASES, request)
        return api.ListAnswer(**said(decision), items=placed_items(decision, self.catalogue)), decision

    async def decide(self, surface: Surface[ShownPage], request: Request) -> Decision:
        """The page of a request; the same page again for a request id that was decided before.

        Raises:
            UnknownListenerError: the online store does not know the listener.
            ConflictError: the request id is another listener's.
            InputError: a pick, the market or a content type is not known.
        """
        before = self.pages.of_request(request.request_id, request.user_id)
        if before:
            return before
        self.catalogue.check(request.picks or ())
        answer = await self.path.answer(surface, request)
        page = finalize(answer, self.pages.last(request.user_id, surface.name), POPULAR_ITEMS)
        decision = Decision(
            request.request_id,
            request.user_id,
            request.session_id,
            request.at,
            surface.name,
            page,
            dict(answer.context.versions.versions),
            answer.trace.degraded,
        )
        self.pages.put(decision)
        self.metrics.observe(surface.name, answer.trace)
        self.metrics.levels.inc(surface.name, str(page.level))
        if page.level or decision.degraded:
            log.warning(
                "%s of request %s has level %d; fallbacks stood in for: %s",
                surface.name,
                request.request_id,
                page.level,
                ", ".join(decision.degraded) or "none",
            )
        return decision

    def write(self, decision: Decision) -> None:
        """The side effect after an answer: hand the exposures to the journal, which writes them on its own thread."""
        rows = exposures(decision)
        if not rows:
            return
        try:
            self.journal.append(rows)
        except SegueError as error:  # the page was answered already
            self.metrics.effects.inc("exposures", "refused")
            log.error("the exposures of request %s are lost: %s", decision.request_id, error)
        else:
            self.metrics.effects.inc("exposures", "ok")

    def item(self, item_id: str) -> api.Item | None:
        """An item; None if the catalogue does not have it."""
        row = self.catalogue.index.get(item_id)
        return None if row is None else item(row, self.catalogue)

    def state(self) -> api.State:
        """What the gateway stands on. It is ready without any of it, because every stage has a fallback."""
        down = ["models"] if self.path.models.down or not self.path.models.current.versions else []
        return api.State(ready=True, models=dict(self.path.models.current.versions), down=down)


def said(decision: Decision) -> dict:
    """What every answer says about its decision."""
    return {
        "request_id": decision.request_id,
        "level": decision.page.level,
        "degraded": list(decision.degraded),
        "versions": decision.versions,
    }

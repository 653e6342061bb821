"""`POST /v1/sessions/{id}/next`: the types of the endpoint, and the way from a body to an answer."""

import uuid
from typing import Literal

from pydantic import Field

from surfaces.gateway import api
from surfaces.gateway.gateway import Gateway, said
from surfaces.gateway.pages import Decision
from surfaces.gateway.views import placed_items
from surfaces.now_playing.answer import Steps
from surfaces.now_playing.state import Chip
from surfaces.request import Request

SURFACE = "now_playing"
MOST_CHIPS = 10


class ChipBody(api.Body):
    """One wish."""

    kind: Literal["genre", "era", "mood", "more_like_this", "something_new", "content_type"]
    value: str = Field(
        "",
        max_length=256,
        description="A genre, an era (90s, 1999, 1994-1999), a mood word, an item_id or a content type; "
        "none for something_new.",
    )


class NextRequest(api.Body):
    """A request for the next items of a session."""

    user_id: api.Id
    k: int = Field(5, ge=1, le=api.MOST_ITEMS, description="How many items to answer.")
    chips: list[ChipBody] | None = Field(
        None, max_length=MOST_CHIPS, description="The wishes from now on, in place of those before; [] for none."
    )
    dislikes: list[api.Id] = Field(
        [], max_length=api.MOST_ITEMS, description="Items that the listener says no to, for this session."
    )
    undo: bool = Field(False, description="Take back the last play, skip, like, add, dislike or change of chips.")
    market: api.Id | None = Field(None, description="Only items that are available in this market.")
    content_types: list[api.Id] = Field([], max_length=20, description="Only items of these types; empty for all.")
    picks: list[api.Id] | None = Field(
        None, max_length=api.MOST_PICKS, description="Of a new listener: the items that were picked at sign-up."
    )
    explicit: bool = Field(True, description="Whether items that are marked as explicit may be shown.")
    request_id: api.Id | None = Field(
        None, description="Names the request. The same id is answered with the same items, and changes nothing again."
    )


class NextAnswer(api.Decided):
    """The next items of a session."""

    items: list[api.PlacedItem]
    queue: list[api.PlacedItem] = Field(description="What is promised after `items`, unless an action changes it.")
    changed: str = Field(description="What the items follow, and why, in words.")


async def next_items(gateway: Gateway, session_id: str, body: NextRequest) -> tuple[NextAnswer, Decision]:
    """The next items, and the decision to write to the journal once it is answered: items and queue were both shown.

    Raises:
        ConflictError: the request id is another request's.
        OtherListenersSessionError, UnknownListenerError, InputError: see `NowPlaying.answer`.
    """
    request = Request(
        user_id=body.user_id,
        at=gateway.clock(),
        surface=SURFACE,
        k=body.k,
        session_id=session_id,
        picks=None if body.picks is None else tuple(body.picks),
        content_types=tuple(body.content_types),
        market=body.market or "",
        explicit=body.explicit,
        lasting_dislikes=gateway.dislikes.of(body.user_id),
        request_id=body.request_id or uuid.uuid4().hex,
    )
    gateway.now_playing.sessions.get(session_id, request.user_id)
    decision = gateway.pages.of_request(request.request_id, request.user_id, SURFACE)
    if decision is None:
        decision = await decide(gateway, session_id, request, steps_of(body))
    items = placed_items(decision, gateway.catalogue)
    changed = " ".join(shelf.reason for shelf in decision.page.shelves)
    return NextAnswer(**said(decision), items=items[: body.k], queue=items[body.k :], changed=changed), decision


def steps_of(body: NextRequest) -> Steps:
    """What a body does to its session."""
    chips = None if body.chips is None else tuple(Chip(one.kind, one.value) for one in body.chips)
    return Steps(chips, tuple(body.dislikes), body.undo)


async def decide(gateway: Gateway, session_id: str, request: Request, steps: Steps) -> Decision:
    """Answer a request, and remember the decision; errors as in `next_items`."""
    gateway.check(request)
    answer = await gateway.now_playing.answer(session_id, request, steps)
    decision = Decision(
        request.request_id,
        request.user_id,
        session_id,
        request.at,
        SURFACE,
        SURFACE,
        answer.page,
        dict(answer.versions.versions),
        answer.trace.degraded,
        answer.arms.logged,
    )
    gateway.remember(decision, answer.trace)
    return decision

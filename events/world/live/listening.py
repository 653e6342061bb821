"""A day of interactive listeners: they ask for pages, respond to what they are shown, and come back or leave."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from events.world.day import HOME
from events.world.live.pages import Pages
from events.world.live.responses import NOW_PLAYING, Actions, Responses, actions, respond
from events.world.live.sessions import MOST_REQUESTS
from events.world.live.world import World

SERVED = (HOME, NOW_PLAYING)  # surfaces of the sessions; a search or a library is not asked for


@dataclass(frozen=True)
class Visit:
    """A page that a listener asks for.

    Args:
        request: Number of the request, unique in the world. It keys the response.
        session: Number of the session.
        user: The listener.
        mood: Mood of the session, which only the world knows.
        began, at: Start of the session and time of the request, in microseconds from the start of the first day.
        surface: Position in `schema.SURFACES`.
    """

    request: int
    session: int
    user: int
    mood: int
    began: int
    at: int
    surface: int

    def page(self, rows: Sequence[Sequence[int]]) -> Pages:
        """Return the page of these rows of items for this visit."""
        return Pages.of(np.array([self.user]), np.array([self.at]), np.array([self.surface]), [rows])


Show = Callable[[Visit], Sequence[Sequence[int]]]
Hear = Callable[[Visit, Pages, Responses, Actions], None]


def listen(world: World, day: int, show: Show, hear: Hear) -> None:
    """Let the sessions of a day happen, page by page in the order of time.

    Given what is shown, everything is determined by the world's seed. A server may take any time to answer.

    Args:
        world: The world.
        day: The day, counted from 0.
        show: Returns the rows of items that a visit is shown.
        hear: Takes the visit, its page, the responses to it and the interactions among them, before the next page.
    """
    today, sessions = world.day(day), world.sessions(day)
    waiting = [
        Visit(number * MOST_REQUESTS, number, user, mood, began, began, surface)
        for number, user, began, surface, mood in zip(
            *(getattr(sessions, name).tolist() for name in ("number", "user", "began", "surface", "mood")), strict=True
        )
        if surface in SERVED
    ]
    queue = [(visit.at, visit.request, visit) for visit in waiting]
    heapq.heapify(queue)
    while queue:
        _, _, visit = heapq.heappop(queue)
        page = visit.page(show(visit))
        responses = respond(
            today, world.seed, np.array([visit.request]), np.array([visit.mood]), np.array([visit.began]), page
        )
        hear(visit, page, responses, actions(responses, today.lost(page)))
        following = visit.request + 1
        if responses.more[0] and following < (visit.session + 1) * MOST_REQUESTS:
            at, surface = int(responses.left[0]), int(responses.surface[0])
            visit = Visit(following, visit.session, visit.user, visit.mood, visit.began, at, surface)
            heapq.heappush(queue, (at, following, visit))

"""The log of a world of version 2: the logging policy's pages, and the responses of its listeners."""

import numpy as np

from events.world.config import Stream, generator
from events.world.day import (
    DAY,
    IMPRESSION,
    LIBRARY,
    LIBRARY_SLOTS,
    SEARCH,
    SLATE_SIZES,
    Rows,
    add_to_libraries,
)
from events.world.live import responses as live
from events.world.live.outcomes import Today
from events.world.live.pages import Pages
from events.world.live.queries import searches
from events.world.live.sessions import MOST_REQUESTS
from events.world.live.titles import creator_names, titles
from events.world.live.world import World
from events.world.policy import Requests

COLUMNS = np.array([4, 8, 1, 1])  # columns of a logged page, in the order of `schema.SURFACES`


def logged(world: World) -> tuple[Rows, list[str], np.ndarray]:
    """Return the events of the log's days, sorted by time, the texts of their queries, and their rows and columns.

    Args:
        world: The world.

    Returns:
        The events, the query texts that `Rows.query` counts, and the row and column of each event on its page
        `[events, 2]`.
    """
    library = np.full((world.config.users, LIBRARY_SLOTS), -1)
    texts: list[str] = []
    words = titles(world.seed, world.items), creator_names(world.seed, world.creators)
    rows = Rows.concat([part for day in range(world.config.days) for part in rounds(world, day, library, texts, words)])
    order = np.argsort(rows.ts, kind="stable")
    # A session may run past the last midnight. Its events after midnight would be on a day outside the log.
    rows = rows.take(order[: np.searchsorted(rows.ts[order], world.config.days * DAY)])
    columns = COLUMNS[rows.surface]
    return rows, texts, np.stack([(rows.position - 1) // columns + 1, (rows.position - 1) % columns + 1], axis=1)


def rounds(
    world: World, day: int, library: np.ndarray, texts: list[str], words: tuple[list[str], list[str]]
) -> list[Rows]:
    """Return the events of the sessions of a day: first those of all first pages, then those of all second pages, ….

    Args:
        world: The world.
        day: The day, counted from 0.
        library: Items in each listener's library `[users, LIBRARY_SLOTS]`, which the items added here are put into.
        texts: Texts of the queries, which those of the day are added to.
        words: Titles of the items and names of the creators.
    """
    today, sessions = world.day(day), world.sessions(day)
    rng = generator(world.seed, Stream.DAY, day)
    active, at, surface = np.arange(len(sessions)), sessions.began, sessions.surface
    parts = []
    for turn in range(MOST_REQUESTS):
        user, mood = sessions.user[active], sessions.mood[active]
        request = sessions.number[active] * MOST_REQUESTS + turn
        shelf, query = np.full(len(active), -1), np.full(len(active), -1)
        at_search = np.flatnonzero(surface == SEARCH)
        found = searches(world.seed, request[at_search], user[at_search], mood[at_search], today.policy, *words)
        shelf[at_search], query[at_search] = found.shelf, len(texts) + np.arange(len(at_search))
        texts += found.text
        slates, propensities = today.policy.slates(
            rng, Requests(user, SLATE_SIZES[surface], shelf, surface == LIBRARY), library
        )
        place = np.broadcast_to(np.arange(slates.shape[1]), slates.shape)
        columns = COLUMNS[surface][:, None]
        pages = Pages(user, at, surface, slates, place // columns + 1, place % columns + 1)
        responses = live.respond(today, world.seed, request, mood, sessions.began[active], pages)
        parts.append(events(today, sessions.number[active], request, query, pages, propensities, responses))
        added = responses.added
        add_to_libraries(library, user[np.nonzero(added)[0]], slates[added], responses.ended[added])
        goes_on = responses.more
        active, at, surface = active[goes_on], responses.left[goes_on], responses.surface[goes_on]
    return parts


def events(
    today: Today,
    session: np.ndarray,
    request: np.ndarray,
    query: np.ndarray,
    pages: Pages,
    propensities: np.ndarray,
    responses: live.Responses,
) -> Rows:
    """Return the impressions of pages and the interactions with them. The log has no dislikes.

    Args:
        today: The world on the day, which says whether there is an outage.
        session, request, query: Numbers of the session, the request and the query of each page `[pages]`.
        pages: The pages.
        propensities: Probability of the draw that filled each slot `[pages, slots]`.
        responses: The responses.
    """
    page, slot = np.nonzero(pages.shown)
    done = live.actions(responses, today.lost(pages))
    keep = done.action != live.DISLIKE
    shown = len(page)
    page, slot = np.concatenate([page, done.page[keep]]), np.concatenate([slot, done.slot[keep]])
    impression = np.arange(len(page)) < shown
    return Rows(
        ts=np.concatenate([pages.at[page[:shown]] + slot[:shown] * 1000, done.ts[keep]]),
        user=pages.user[page],
        item=pages.item[page, slot],
        session=session[page],
        request=request[page],
        surface=pages.surface[page],
        position=slot + 1,
        action=np.concatenate([np.full(shown, IMPRESSION), done.action[keep]]),
        ms_played=np.concatenate([np.full(shown, -1), done.ms[keep]]),
        query=query[page],
        propensity=np.where(impression, propensities[page, slot], np.nan),
    )

"""Simulate one day: the sessions, the slates that listeners are shown, and the resulting events."""

from dataclasses import dataclass, fields

import numpy as np

from events import schema
from events.world import names
from events.world.behaviour import SECOND, Responses, respond, utility
from events.world.config import WEEK, WorldConfig
from events.world.listeners import Listeners
from events.world.policy import LONGEST, Policy, Requests
from events.world.shelves import GENRE_SHELVES

DAY = 86_400 * SECOND
# Hours (UTC) in which sessions begin. A listener has at most one session in each of these parts of a day.
DAY_PARTS = np.array([(6.0, 9.5), (11.5, 15.0), (18.0, 22.5)])
DAY_PART_SHARES = np.array([0.25, 0.3, 0.45])  # of a listener's sessions
WEEKEND_FACTOR = 1.25
MORE_REQUESTS, MORE_CHANCE = 3, 0.25  # requests after a session's first: at most so many, each with this probability
PATIENCE = 45 * 60 * SECOND  # a listener makes no request later than this after the start of the session
SURFACE_SHARES = (0.5, 0.2, 0.15, 0.15)  # in the order of `schema.SURFACES`
SLATE_SIZES = np.array([LONGEST, 5, 6, 6])  # positions of a slate, in the same order
HOME, SEARCH, LIBRARY = (schema.SURFACES.index(name) for name in ("home", "search", "library"))
IMPRESSION, PLAY, SKIP, LIKE, ADD = range(len(schema.ACTIONS))

LIBRARY_SLOTS = 16
DAY_CODES = 1_000_000  # the sessions and requests of a day are numbered from day * DAY_CODES
GENRE_QUERY, CREATOR_QUERY = 0.4, 0.75  # cumulated shares of searches; the rest are for a word of a title


@dataclass(frozen=True)
class Rows:
    """Events as numbers, in `[events]` arrays. -1 stands for null.

    Args:
        ts: Microseconds from the start of the first day.
        user, item: Listener and item.
        session, request: Numbers, unique in the world.
        surface, action: Positions in `schema.SURFACES` and `schema.ACTIONS`.
        position: Position on the slate, from 1.
        ms_played: Milliseconds played.
        query: Position in `queries`.
        propensity: Probability of the draw that filled the position; NaN for interactions.
    """

    ts: np.ndarray
    user: np.ndarray
    item: np.ndarray
    session: np.ndarray
    request: np.ndarray
    surface: np.ndarray
    position: np.ndarray
    action: np.ndarray
    ms_played: np.ndarray
    query: np.ndarray
    propensity: np.ndarray

    @classmethod
    def concat(cls, parts: list["Rows"]) -> "Rows":
        """Return the rows of all parts, one after the other."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    def take(self, rows: np.ndarray) -> "Rows":
        """Return some of the rows, given by positions or by a mask."""
        return Rows(*(getattr(self, f.name)[rows] for f in fields(self)))


def queries(creators: list[str]) -> list[str]:
    """Return all queries: first the genres, then the creators, then the words of titles."""
    return [text.lower() for text in (*names.GENRES, *creators, *names.NOUNS)]


def simulate(
    config: WorldConfig,
    rng: np.random.Generator,
    day: int,
    listeners: Listeners,
    policy: Policy,
    library: np.ndarray,
) -> Rows:
    """Simulate the sessions that begin on a day and return their events, unsorted.

    Args:
        config: Says which drift has begun.
        rng: Random generator of the day.
        day: The day, counted from 0.
        listeners: All listeners.
        policy: Logging policy of the day.
        library: Items in each listener's library `[users, LIBRARY_SLOTS]`, newest first; -1 marks a free slot. The
            items added on this day are put into it.
    """
    session_user, arrival, session_surface = visits(rng, day, listeners)  # [sessions]
    session = np.repeat(np.arange(len(session_user)), 1 + rng.binomial(MORE_REQUESTS, MORE_CHANCE, len(session_user)))
    user, surface = session_user[session], session_surface[session]  # [requests]
    searched, query = search(rng, policy, user, surface == SEARCH)
    requests = Requests(user, SLATE_SIZES[surface], searched, surface == LIBRARY)
    slates, propensities = policy.slates(rng, requests, library)

    request, column = np.nonzero(slates >= 0)  # [shown], request by request
    shown_user, item = user[request], slates[request, column]
    liking = utility(policy, shown_user, item)
    responses = respond(config, rng, day, column + 1, liking, policy.shelves.catalogue.duration_ms[item])
    started, ended, stayed = timeline(session, arrival, request, responses)
    shown = Rows(
        ts=started[request] + column * 1000 + rng.integers(900, size=len(item)),
        user=shown_user,
        item=item,
        session=day * DAY_CODES + session[request],
        request=day * DAY_CODES + request,
        surface=surface[request],
        position=column + 1,
        action=np.full(len(item), IMPRESSION),
        ms_played=np.full(len(item), -1),
        query=query[request],
        propensity=propensities[request, column],
    )
    added = responses.added & stayed[request]
    add_to_libraries(library, shown_user[added], item[added], ended[added])
    return logged_events(config, rng, day, shown, ended, responses, stayed[request])


def visits(rng: np.random.Generator, day: int, listeners: Listeners) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the sessions of a day.

    Returns:
        user: Listeners `[sessions]`.
        arrival: Starts of the sessions, in microseconds from the start of the first day `[sessions]`.
        surface: Positions in `schema.SURFACES` `[sessions]`.
    """
    chance = visit_chances(day, listeners)
    user, part = np.nonzero(rng.random(chance.shape) < chance)
    begin, end = DAY_PARTS[part].T
    hour = begin + rng.random(len(user)) * (end - begin)
    surface = rng.choice(len(schema.SURFACES), len(user), p=SURFACE_SHARES)
    return user, day * DAY + (hour * 3600 * SECOND).astype(np.int64), surface


def visit_chances(day: int, listeners: Listeners) -> np.ndarray:
    """Return the probability of a session in each part of the day `[users, parts]`.

    A value above 1 counts as 1. It is 0 before the day of the signup.
    """
    weekend_factor = WEEKEND_FACTOR if day % WEEK >= 5 else 1.0
    return weekend_factor * listeners.sessions[:, None] * DAY_PART_SHARES * (listeners.signup <= day)[:, None]


def search(
    rng: np.random.Generator, policy: Policy, user: np.ndarray, searching: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the queries of the searches.

    A listener has an item of a genre shelf in mind and searches for the genre, the creator or a word of the title.

    Args:
        rng: Random generator of the day.
        policy: Logging policy of the day.
        user: Listeners `[requests]`.
        searching: Whether each request is a search `[requests]`.

    Returns:
        Shelves that the queries mean and positions in `queries`, both `[requests]` and -1 for other requests. A query
        for a word means the shelf of the item's creator.
    """
    catalogue, shelves = policy.shelves.catalogue, policy.shelves
    shelf_draw, item_draw, query_draw = rng.random((3, len(user)))
    shelf, target = intents(policy, user, shelf_draw, item_draw)
    creator = catalogue.creator[target]
    creator_count = len(shelves.weight) - GENRE_SHELVES
    by_genre, by_creator = query_draw < GENRE_QUERY, query_draw < CREATOR_QUERY
    genre_query = shelf // len(names.CONTENT_TYPES)
    creator_query = len(names.GENRES) + creator
    word_query = len(names.GENRES) + creator_count + catalogue.noun[target]
    query = np.select([by_genre, by_creator], [genre_query, creator_query], word_query)
    searched_shelf = np.where(by_genre, shelf, GENRE_SHELVES + creator)
    return np.where(searching, searched_shelf, -1), np.where(searching, query, -1)


def intents(
    policy: Policy, user: np.ndarray, shelf_draw: np.ndarray, item_draw: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the genre shelves and the items on them that listeners have in mind when they search, both `[n]`."""
    shelf = policy.shelves.choose(policy.cumulative_shelf_chances, user, shelf_draw)
    return shelf, policy.shelves.draw(shelf, item_draw)


def timeline(
    session: np.ndarray, arrival: np.ndarray, request: np.ndarray, responses: Responses
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute when each request and each response happens. A listener goes down a slate, then requests the next one.

    Args:
        session: Session of each request, ascending `[requests]`.
        arrival: Starts of the sessions, in microseconds from the start of the first day `[sessions]`.
        request: Request of each impression, ascending `[shown]`.
        responses: Responses to the impressions.

    Returns:
        started: Times of the requests, in microseconds from the start of the first day `[requests]`.
        ended: Times at which the play or skip of each impression ends, in the same unit `[shown]`.
        stayed: Whether the listener is still in the session to make the request `[requests]`.
    """
    listening = responses.ms * 1000
    spent = np.where(responses.examined, listening + responses.pause, 0)
    length = np.bincount(request, spent, len(session)).astype(np.int64) + 3 * SECOND
    elapsed = sum_before_in_group(length, session)
    started = arrival[session] + elapsed
    ended = started[request] + SECOND + sum_before_in_group(spent, request) + listening
    return started, ended, elapsed <= PATIENCE


def sum_before_in_group(length: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return for each entry the sum of the lengths before it in its group. `group` must be ascending."""
    before = length.cumsum() - length
    return before - before[np.searchsorted(group, group)]


def logged_events(
    config: WorldConfig,
    rng: np.random.Generator,
    day: int,
    shown: Rows,
    ended: np.ndarray,
    responses: Responses,
    stayed: np.ndarray,
) -> Rows:
    """Return the events that reach the log: the impressions and the interactions with those that were examined.

    Args:
        config: Says whether there is an outage. During an outage the log loses the plays on `home`, and `ms_played` of
            the skips there.
        rng: Random generator of the day.
        day: The day, counted from 0.
        shown: The impressions.
        ended: Ends of the plays and skips, in microseconds from the start of the first day `[shown]`.
        responses: Responses to the impressions.
        stayed: Whether the request of each impression was made `[shown]`.
    """
    count = len(ended)
    outcome = np.where(responses.played, PLAY, SKIP)
    reported, ms = responses.examined, responses.ms
    if config.drifts("outage", day):
        at_home = shown.surface == HOME
        reported, ms = reported & ~(at_home & responses.played), np.where(at_home, -1, ms)

    def interaction_rows(mask: np.ndarray, ts: np.ndarray, action: np.ndarray, ms_played: np.ndarray) -> Rows:
        no_propensity = np.full(count, np.nan)
        changed = {"ts": ts, "action": action, "ms_played": ms_played, "propensity": no_propensity}
        return Rows(**{**vars(shown), **changed}).take(mask)

    like_ts = ended + rng.integers(SECOND, 4 * SECOND, count)
    add_ts = ended + rng.integers(4 * SECOND, 7 * SECOND, count)
    return Rows.concat([
        shown.take(stayed),
        interaction_rows(stayed & reported, ended, outcome, ms),
        interaction_rows(stayed & responses.liked, like_ts, np.full(count, LIKE), shown.ms_played),
        interaction_rows(stayed & responses.added, add_ts, np.full(count, ADD), shown.ms_played),
    ])  # fmt: skip


def add_to_libraries(library: np.ndarray, user: np.ndarray, item: np.ndarray, ts: np.ndarray) -> None:
    """Put added items at the front of the listeners' libraries, newest first. The oldest items of a full one drop out.

    Args:
        library: Libraries to change `[users, LIBRARY_SLOTS]`.
        user, item, ts: Listener, item and time of each addition `[n]`.
    """
    order = np.lexsort((ts, user))
    user, item = user[order], item[order]
    rank = np.arange(len(user)) - np.searchsorted(
        user, user
    )  # [n], how many items the listener added earlier on this day
    for turn in range(int(rank.max(initial=-1)) + 1):
        selected = rank == turn
        library[user[selected], 1:] = library[user[selected], :-1]
        library[user[selected], 0] = item[selected]

"""One day: sessions, the slates they are shown, and the events that come of it."""

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
PARTS = np.array([(6.0, 9.5), (11.5, 15.0), (18.0, 22.5)])  # hours in which sessions begin; one each at most
PART_SHARES = np.array([0.25, 0.3, 0.45])
WEEKEND = 1.25
MORE_REQUESTS, MORE_CHANCE = 3, 0.25  # beyond a session's first
PATIENCE = 45 * 60 * SECOND  # no request begins later in a session than this
SURFACE_SHARES = (0.5, 0.2, 0.15, 0.15)  # in the order of `schema.SURFACES`
SLATES = np.array([LONGEST, 5, 6, 6])
HOME, SEARCH, LIBRARY = (schema.SURFACES.index(name) for name in ("home", "search", "library"))
IMPRESSION, PLAY, SKIP, LIKE, ADD = range(len(schema.ACTIONS))

LIBRARY_SLOTS = 16
DAY_CODES = 1_000_000  # sessions and requests of a day are numbered from day * DAY_CODES
GENRE_QUERY, CREATOR_QUERY = 0.4, 0.75  # cumulated shares; the rest searches for a word of a title


@dataclass(frozen=True)
class Rows:
    """Events as numbers, `[events]` arrays; -1 stands for null.

    Args:
        ts: microseconds from the first day.
        user, item: listener and item.
        session, request: numbers, unique in the world.
        surface, action: positions in `schema.SURFACES` and `schema.ACTIONS`.
        position: on the slate, from 1.
        ms_played: milliseconds.
        query: position in `queries`.
        propensity: of the draw that filled the position; NaN but for impressions.
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
        """The rows of all parts, one after the other."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    def take(self, rows: np.ndarray) -> "Rows":
        """The rows at these positions."""
        return Rows(*(getattr(self, f.name)[rows] for f in fields(self)))


def queries(creators: list[str]) -> list[str]:
    """All that can be searched for: genres, then creators, then words of titles."""
    return [text.lower() for text in (*names.GENRES, *creators, *names.NOUNS)]


def simulate(
    config: WorldConfig,
    rng: np.random.Generator,
    day: int,
    listeners: Listeners,
    policy: Policy,
    library: np.ndarray,
) -> Rows:
    """The events of the sessions that begin on `day`, in no order.

    Args:
        config: says which drifts are in force.
        rng: random numbers of this day.
        day: counted from the first.
        listeners: who may listen.
        policy: what is shown.
        library: items that listeners kept `[users, LIBRARY_SLOTS]`, newest first, -1 where free.
            Updated with what they keep today.
    """
    visitor, arrival, place = visits(rng, day, listeners)  # [sessions]
    session = np.repeat(np.arange(len(visitor)), 1 + rng.binomial(MORE_REQUESTS, MORE_CHANCE, len(visitor)))
    user, surface = visitor[session], place[session]  # [requests]
    searched, query = search(rng, policy, user, surface == SEARCH)
    asked = Requests(user, SLATES[surface], searched, surface == LIBRARY)
    slates, propensities = policy.slates(rng, asked, library)

    request, column = np.nonzero(slates >= 0)  # [shown], request by request
    who, item = user[request], slates[request, column]
    liking = utility(policy, who, item)
    responses = respond(config, rng, day, column + 1, liking, policy.shelves.catalogue.duration_ms[item])
    started, done, stayed = timeline(session, arrival, request, responses)
    shown = Rows(
        ts=started[request] + column * 1000 + rng.integers(900, size=len(item)),
        user=who,
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
    kept = responses.added & stayed[request]
    keep(library, who[kept], item[kept], done[kept])
    return log(config, rng, day, shown, done, responses, stayed[request])


def visits(rng: np.random.Generator, day: int, listeners: Listeners) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The day's sessions: whose, when (microseconds from the first day) and on which surface `[sessions]`."""
    chance = visit_chances(day, listeners)
    user, part = np.nonzero(rng.random(chance.shape) < chance)
    begin, end = PARTS[part].T
    hour = begin + rng.random(len(user)) * (end - begin)
    surface = rng.choice(len(schema.SURFACES), len(user), p=SURFACE_SHARES)
    return user, day * DAY + (hour * 3600 * SECOND).astype(np.int64), surface


def visit_chances(day: int, listeners: Listeners) -> np.ndarray:
    """The chance of a session in each part of the day `[users, parts]`; 1 or more is certain, 0 before the signup."""
    weekend = WEEKEND if day % WEEK >= 5 else 1.0
    return weekend * listeners.sessions[:, None] * PART_SHARES * (listeners.signup <= day)[:, None]


def search(
    rng: np.random.Generator, policy: Policy, user: np.ndarray, searching: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What is searched for: the shelf that is meant and the query `[requests]`, -1 where nothing is."""
    catalogue, shelves = policy.shelves.catalogue, policy.shelves
    one, two, how = rng.random((3, len(user)))
    shelf = shelves.choose(policy.upto, user, one)
    target = shelves.draw(shelf, two)  # what the listener has in mind
    creator = catalogue.creator[target]
    creators = len(shelves.weight) - GENRE_SHELVES
    by_genre, by_creator = how < GENRE_QUERY, how < CREATOR_QUERY
    genre_query = shelf // len(names.KINDS)
    creator_query = len(names.GENRES) + creator
    word_query = len(names.GENRES) + creators + catalogue.noun[target]
    query = np.select([by_genre, by_creator], [genre_query, creator_query], word_query)
    meant = np.where(by_genre, shelf, GENRE_SHELVES + creator)
    return np.where(searching, meant, -1), np.where(searching, query, -1)


def timeline(
    session: np.ndarray, arrival: np.ndarray, request: np.ndarray, responses: Responses
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """When everything happens: a listener goes down a slate, then asks for the next.

    Args:
        session: of each request `[requests]`, ascending.
        arrival: microseconds `[sessions]`.
        request: of each position `[shown]`, ascending.
        responses: what is done there.

    Returns:
        started: microseconds at which each request is made `[requests]`.
        done: microseconds at which each position is played or skipped `[shown]`.
        stayed: whether the listener is still there to make the request `[requests]`.
    """
    listening = responses.ms * 1000
    spent = np.where(responses.examined, listening + responses.pause, 0)
    length = np.bincount(request, spent, len(session)).astype(np.int64) + 3 * SECOND
    elapsed = since_first(length, session)
    started = arrival[session] + elapsed
    done = started[request] + SECOND + since_first(spent, request) + listening
    return started, done, elapsed <= PATIENCE


def since_first(length: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The sum of the lengths that come before each entry in its group; groups are contiguous."""
    before = length.cumsum() - length
    return before - before[np.searchsorted(group, group)]


def log(
    config: WorldConfig,
    rng: np.random.Generator,
    day: int,
    shown: Rows,
    done: np.ndarray,
    responses: Responses,
    stayed: np.ndarray,
) -> Rows:
    """What reaches the log: every impression, and what came of those that were examined.

    Args:
        config: says whether there is an outage: then plays on `home` are lost, and times with them.
        rng: random numbers of the day.
        day: counted from the first.
        shown: the impressions.
        done: when they were played or skipped, microseconds `[shown]`.
        responses: what was done.
        stayed: whether the request was made at all `[shown]`.
    """
    count = len(done)
    outcome = np.where(responses.played, PLAY, SKIP)
    reported, ms = responses.examined, responses.ms
    if config.drifts("outage", day):
        at_home = shown.surface == HOME
        reported, ms = reported & ~(at_home & responses.played), np.where(at_home, -1, ms)

    def after(mask: np.ndarray, ts: np.ndarray, action: np.ndarray, ms_played: np.ndarray) -> Rows:
        unknown = np.full(count, np.nan)
        changed = {"ts": ts, "action": action, "ms_played": ms_played, "propensity": unknown}
        return Rows(**{**vars(shown), **changed}).take(mask)

    like_at = done + rng.integers(SECOND, 4 * SECOND, count)
    add_at = done + rng.integers(4 * SECOND, 7 * SECOND, count)
    return Rows.concat([
        shown.take(stayed),
        after(stayed & reported, done, outcome, ms),
        after(stayed & responses.liked, like_at, np.full(count, LIKE), shown.ms_played),
        after(stayed & responses.added, add_at, np.full(count, ADD), shown.ms_played),
    ])  # fmt: skip


def keep(library: np.ndarray, user: np.ndarray, item: np.ndarray, ts: np.ndarray) -> None:
    """Put added items at the head of their listeners' libraries, in order of time; the oldest fall out."""
    order = np.lexsort((ts, user))
    user, item = user[order], item[order]
    rank = np.arange(len(user)) - np.searchsorted(user, user)  # how many the listener added before it
    for turn in range(int(rank.max(initial=-1)) + 1):
        at = rank == turn
        library[user[at], 1:] = library[user[at], :-1]
        library[user[at], 0] = item[at]

"""One day: sessions, the slates they are shown, and what listeners do with them."""

from dataclasses import dataclass

import numpy as np

from events import schema
from events.world import names
from events.world.config import WEEK, WorldConfig
from events.world.listeners import Listeners, softmax
from events.world.policy import LONGEST, Policy, Requests
from events.world.shelves import GENRE_SHELVES

SECOND = 1_000_000  # microseconds
DAY = 86_400 * SECOND
PARTS = np.array([(6.0, 9.5), (11.5, 15.0), (18.0, 22.5)])  # hours in which sessions begin; one each at most
PART_SHARES = np.array([0.25, 0.3, 0.45])
WEEKEND = 1.25
MORE_REQUESTS, MORE_CHANCE = 3, 0.25  # beyond a session's first
PATIENCE = 45 * 60 * SECOND  # no request begins later in a session than this
SURFACE_SHARES = (0.5, 0.2, 0.15, 0.15)  # in the order of `schema.SURFACES`
SLATES = np.array([LONGEST, 5, 6, 6])
HOME, SEARCH, LIBRARY = (schema.SURFACES.index(name) for name in ("home", "search", "library"))

EXAMINATION = 0.7  # a position is looked at with probability 1 / position ** EXAMINATION
LONGEST_PLAY_MS = 20 * 60_000
LIBRARY_SLOTS = 16
DAY_CODES = 1_000_000  # sessions and requests of a day are numbered from day * DAY_CODES
GENRE_QUERY, CREATOR_QUERY = 0.4, 0.75  # cumulated shares; the rest searches for a word of a title


@dataclass(frozen=True)
class Rows:
    """Events as numbers, `[events]` arrays; -1 stands for null.

    Args:
        ts: microseconds from the first day.
        session, request: numbers, unique in the world.
        surface, action: positions in `schema.SURFACES` and `schema.ACTIONS`.
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
    catalogue = policy.shelves.catalogue
    # Sessions: [sessions]
    weekend = WEEKEND if day % WEEK >= 5 else 1.0
    chance = weekend * listeners.sessions[:, None] * PART_SHARES
    user, part = np.nonzero((rng.random(chance.shape) < chance) & (listeners.signup <= day)[:, None])
    begin, end = PARTS[part].T
    session_start = day * DAY + ((begin + rng.random(len(user)) * (end - begin)) * 3600 * SECOND).astype(
        np.int64
    )
    session_surface = rng.choice(len(schema.SURFACES), len(user), p=SURFACE_SHARES)

    # Requests: [requests]
    session = np.repeat(np.arange(len(user)), 1 + rng.binomial(MORE_REQUESTS, MORE_CHANCE, len(user)))
    surface = session_surface[session]
    searched, query = search(rng, policy, user[session], surface == SEARCH)
    asked = Requests(user[session], SLATES[surface], searched, surface == LIBRARY)
    slates, propensities = policy.slates(rng, asked, library)

    # Positions: [shown], request by request
    request, column = np.nonzero(slates >= 0)
    item, who = slates[request, column], asked.user[request]
    liking = utility(policy, who, item)
    examined, played, ms, pause = respond(config, rng, day, column + 1, liking, catalogue.duration_ms[item])
    spent = np.where(examined, ms * 1000 + pause, 0)
    starts, kept = timeline(session, session_start, request, spent)
    into = spent.cumsum() - spent
    into -= into[np.searchsorted(request, request)]  # time spent on the slate before this position

    shown_at = starts[request] + column * 1000 + rng.integers(900, size=len(item))
    done_at = starts[request] + SECOND + into + ms * 1000
    loved = played & (rng.random(len(item)) < 1 / (1 + np.exp(2.6 - 0.8 * liking)))
    added = played & (rng.random(len(item)) < 1 / (1 + np.exp(3.4 - 0.8 * liking)))
    pick = kept[request]
    keep(library, who[added & pick], item[added & pick], done_at[added & pick])

    reported = np.where(examined, ms, -1)
    logged = examined
    if config.drifts("outage", day):  # the player on `home` no longer reports plays, nor times
        at_home = surface[request] == HOME
        reported = np.where(at_home, -1, reported)
        logged = examined & ~(at_home & played)
    outcome = np.where(played, schema.ACTIONS.index(schema.PLAY), schema.ACTIONS.index(schema.SKIP))
    nothing = np.full(len(item), -1)
    groups = [
        (pick, shown_at, np.full(len(item), schema.ACTIONS.index(schema.IMPRESSION)), nothing),
        (pick & logged, done_at, outcome, reported),
        (pick & loved, done_at + rng.integers(SECOND, 4 * SECOND, len(item)),
         np.full(len(item), schema.ACTIONS.index(schema.LIKE)), nothing),
        (pick & added, done_at + rng.integers(4 * SECOND, 7 * SECOND, len(item)),
         np.full(len(item), schema.ACTIONS.index(schema.ADD)), nothing),
    ]  # fmt: skip

    def gather(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values[mask] for mask, *_ in groups])

    shown = propensities[request, column]
    return Rows(
        ts=np.concatenate([ts[mask] for mask, ts, *_ in groups]),
        user=gather(who),
        item=gather(item),
        session=gather(day * DAY_CODES + session[request]),
        request=gather(day * DAY_CODES + request),
        surface=gather(surface[request]),
        position=gather(column + 1),
        action=np.concatenate([action[mask] for mask, _, action, _ in groups]),
        ms_played=np.concatenate([played_ms[mask] for mask, *_, played_ms in groups]),
        query=gather(query[request]),
        propensity=np.concatenate(
            [shown[pick], *(np.full(int(mask.sum()), np.nan) for mask, *_ in groups[1:])]
        ),
    )


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


def utility(policy: Policy, user: np.ndarray, item: np.ndarray) -> np.ndarray:
    """How much each listener likes each item `[n]`: the logit of playing on."""
    catalogue, tastes = policy.shelves.catalogue, policy.tastes
    genres = softmax(tastes.genres)
    kinds = softmax(tastes.kinds)
    shares = (genres[user[:, None], catalogue.genres[item]] * catalogue.share[item]).sum(axis=1)
    follows = (tastes.favourites[user] == catalogue.creator[item][:, None]).any(axis=1)
    return (
        -0.3
        + 0.9 * np.log(0.1 + shares * len(names.GENRES))
        + 0.5 * np.log(0.3 + kinds[user, catalogue.kind[item]] * len(names.KINDS))
        + 1.2 * follows
        + 0.5 * catalogue.quality[item]
    )


def respond(
    config: WorldConfig,
    rng: np.random.Generator,
    day: int,
    position: np.ndarray,
    liking: np.ndarray,
    duration_ms: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What listeners do with what is shown.

    Returns:
        `[shown]` arrays: whether it is looked at; whether it is then played on (else skipped); ms
        played; microseconds until the next thing.
    """
    look, play, fast = rng.random((3, len(position)))
    examined = look < position**-EXAMINATION
    on = 1 / (1 + np.exp(-liking))
    part = rng.beta(4, 1.2, len(position))
    shortest, longest = schema.PLAY_THROUGH_MS, LONGEST_PLAY_MS
    if config.drifts("behaviour", day):  # twice the skips, and plays that end early
        on = np.maximum(1 - 2 * (1 - on), 0.02)
        part, shortest = 0.2 * part, 5_000
    played = examined & (play < on)
    play_ms = np.clip(part * duration_ms, shortest, longest)
    skip_ms = 1_000 + fast * (schema.PLAY_THROUGH_MS - 2_000)
    pause = np.where(played, rng.integers(8 * SECOND, 20 * SECOND, len(position)), SECOND)
    return examined, played, np.where(played, play_ms, skip_ms).astype(np.int64), pause


def timeline(
    session: np.ndarray, session_start: np.ndarray, request: np.ndarray, spent: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """When each request is made, and whether the listener is still there.

    Args:
        session: of each request `[requests]`, ascending.
        session_start: microseconds `[sessions]`.
        request: of each position `[shown]`, ascending.
        spent: microseconds on each position `[shown]`.

    Returns:
        `[requests]`: microseconds, and a mask.
    """
    length = np.bincount(request, spent, len(session)).astype(np.int64) + 3 * SECOND
    elapsed = length.cumsum() - length
    elapsed -= elapsed[np.searchsorted(session, session)]
    return session_start[session] + elapsed, elapsed <= PATIENCE


def keep(library: np.ndarray, user: np.ndarray, item: np.ndarray, ts: np.ndarray) -> None:
    """Put added items at the head of their listeners' libraries, in order of time; the oldest fall out."""
    order = np.lexsort((ts, user))
    user, item = user[order], item[order]
    rank = np.arange(len(user)) - np.searchsorted(user, user)  # how many the listener added before it
    for turn in range(int(rank.max(initial=-1)) + 1):
        at = rank == turn
        library[user[at], 1:] = library[user[at], :-1]
        library[user[at], 0] = item[at]

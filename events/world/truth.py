"""What a policy is truly worth in the world: the yardstick of estimates from its log.

The value of a policy is the mean chance that the item at the first position of a session's first slate is played
through. This is what a log identifies: the first position is always looked at, its propensity is the chance of one
draw, and the first slate of a session is always asked for. Later slates are asked for only by those whom the plays
before left the time, and lower positions depend on what stands above, so both change with the policy that is logged.

All is for a world without drift, and counted in full over contexts and items: for worlds of some hundred of each.
"""

from collections.abc import Iterable

import numpy as np

from events.world.behaviour import sigmoid, utility
from events.world.day import GENRE_QUERY, LIBRARY, SEARCH, SURFACE_SHARES, visit_chances
from events.world.listeners import Listeners
from events.world.policy import Policy, Requests
from events.world.shelves import GENRE_SHELVES


def openings(policy: Policy, listeners: Listeners, days: Iterable[int]) -> tuple[Requests, np.ndarray]:
    """Every context in which a session of these days may begin, and how often it does.

    Args:
        policy: says what listeners search for; the same on all days.
        listeners: who may listen.
        days: counted from the first.

    Returns:
        Requests of one position `[contexts]` and their shares of all sessions `[contexts]`, which sum to 1. `home`
        and `now_playing` are one context.
    """
    sessions = sum(np.minimum(visit_chances(day, listeners), 1).sum(axis=1) for day in days)  # [users]
    meant = search_chances(policy)  # [users, shelves]
    elsewhere = 1 - SURFACE_SHARES[SEARCH] - SURFACE_SHARES[LIBRARY]
    columns = [elsewhere, SURFACE_SHARES[LIBRARY], *np.full(meant.shape[1], SURFACE_SHARES[SEARCH])]
    chance = np.column_stack([np.ones((len(meant), 2)), meant]) * columns * np.reshape(sessions, (-1, 1))
    user, column = np.nonzero(chance)
    requests = Requests(
        user=user, size=np.ones(len(user), np.int64), searched=np.maximum(column - 2, -1), at_library=column == 1
    )
    return requests, chance[user, column] / chance.sum()


def search_chances(policy: Policy) -> np.ndarray:
    """How likely a search of each listener means each shelf `[users, shelves]`: a genre's, or a target's creator's."""
    shelves = policy.shelves
    filled = np.flatnonzero(shelves.weight[:GENRE_SHELVES])
    item = shelves.released
    on_shelf = shelves.chance(np.tile(item, len(filled)), np.repeat(filled, len(item))).reshape(len(filled), -1)
    target = policy.chances[:, filled] @ on_shelf  # [users, released]
    meant = np.zeros((len(target), len(shelves.weight)))
    meant[:, :GENRE_SHELVES] = GENRE_QUERY * policy.chances
    np.add.at(meant.T, GENRE_SHELVES + shelves.catalogue.creator[item], (1 - GENRE_QUERY) * target.T)
    return meant


def item_chances(policy: Policy, requests: Requests, library: np.ndarray) -> np.ndarray:
    """The chance of each released item at the first position `[requests, released]`; rows sum to 1.

    Args:
        policy: what is shown.
        requests: the contexts.
        library: items of each listener's library `[users, slots]`, -1 where a slot is free.
    """
    rows = np.arange(len(requests.user))
    columns = [policy.chance(requests, library, rows, np.full(len(rows), item)) for item in policy.shelves.released]
    return np.stack(columns, axis=1)


def play_chances(policy: Policy, requests: Requests) -> np.ndarray:
    """The chance that each released item is played through at the first position `[requests, released]`.

    What is played on there is played for 30 s at least, so this is the chance of playing on.
    """
    users, context = np.unique(requests.user, return_inverse=True)
    released = policy.shelves.released
    liking = utility(policy, np.repeat(users, len(released)), np.tile(released, len(users)))
    return sigmoid(liking).reshape(len(users), -1)[context]


def value(shares: np.ndarray, chances: np.ndarray, plays: np.ndarray) -> float:
    """The mean chance of a play-through under a policy.

    Args:
        shares: of the contexts among all `[contexts]`.
        chances: of each item by the policy `[contexts, released]`, such as `item_chances` of it.
        plays: `play_chances` `[contexts, released]`.
    """
    return float(shares @ (chances * plays).sum(axis=1))

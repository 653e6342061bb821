"""The true value of a policy in the world, against which estimates from a log can be checked.

The value of a policy is the mean probability that the item at the first position of a session's first slate is played
through. A log identifies this value: every session requests a first slate, its first position is always examined, and
the propensity there is the probability of a single draw. Later slates and lower positions would not do. Whether a
listener requests another slate depends on how long the earlier plays took, and a lower position depends on the items
above it, so both depend on the policy that was logged.

The functions are for worlds without drift. They enumerate all contexts and items, so they suit worlds with a few
hundred of each.
"""

from collections.abc import Iterable

import numpy as np

from events.world.behaviour import sigmoid, utility
from events.world.day import GENRE_QUERY, LIBRARY, SEARCH, SURFACE_SHARES, visit_chances
from events.world.listeners import Listeners
from events.world.policy import Policy, Requests
from events.world.shelves import GENRE_SHELVES


def openings(policy: Policy, listeners: Listeners, days: Iterable[int]) -> tuple[Requests, np.ndarray]:
    """Return every context in which a session may begin on these days, and how often it does.

    Args:
        policy: Logging policy, which must be the same on all days. It determines what listeners search for.
        listeners: All listeners.
        days: Days, counted from 0.

    Returns:
        Requests for one position `[contexts]` and the share of sessions that begin with each `[contexts]`. The shares
        sum to 1. A listener's `home` and `now_playing` are one context.
    """
    sessions = sum(np.minimum(visit_chances(day, listeners), 1).sum(axis=1) for day in days)  # [users]
    shelf_chances = search_chances(policy)  # [users, shelves]
    elsewhere = 1 - SURFACE_SHARES[SEARCH] - SURFACE_SHARES[LIBRARY]
    columns = [elsewhere, SURFACE_SHARES[LIBRARY], *np.full(shelf_chances.shape[1], SURFACE_SHARES[SEARCH])]
    chance = (
        np.column_stack([np.ones((len(shelf_chances), 2)), shelf_chances]) * columns * np.reshape(sessions, (-1, 1))
    )
    user, column = np.nonzero(chance)
    requests = Requests(
        user=user, size=np.ones(len(user), np.int64), searched=np.maximum(column - 2, -1), at_library=column == 1
    )
    return requests, chance[user, column] / chance.sum()


def search_chances(policy: Policy) -> np.ndarray:
    """Return, for each listener and shelf, the probability that a search means this shelf `[users, shelves]`.

    A search means either a genre shelf or the shelf of the creator of the item that the listener has in mind.
    """
    shelves = policy.shelves
    filled_shelves = np.flatnonzero(shelves.weight[:GENRE_SHELVES])
    item = shelves.released
    on_shelf = shelves.chance(np.tile(item, len(filled_shelves)), np.repeat(filled_shelves, len(item))).reshape(
        len(filled_shelves), -1
    )
    target = policy.shelf_chances[:, filled_shelves] @ on_shelf  # [users, released]
    shelf_chances = np.zeros((len(target), len(shelves.weight)))
    shelf_chances[:, :GENRE_SHELVES] = GENRE_QUERY * policy.shelf_chances
    np.add.at(shelf_chances.T, GENRE_SHELVES + shelves.catalogue.creator[item], (1 - GENRE_QUERY) * target.T)
    return shelf_chances


def item_chances(policy: Policy, requests: Requests, library: np.ndarray) -> np.ndarray:
    """Return the probability that a policy shows each released item at the first position.

    Args:
        policy: The policy.
        requests: Requests of the contexts.
        library: Items in each listener's library `[users, slots]`; -1 marks a free slot.

    Returns:
        Probabilities `[requests, released]`. Each row sums to 1.
    """
    rows = np.arange(len(requests.user))
    columns = [policy.chance(requests, library, rows, np.full(len(rows), item)) for item in policy.shelves.released]
    return np.stack(columns, axis=1)


def play_chances(policy: Policy, requests: Requests) -> np.ndarray:
    """Return the probability that each released item is played through at the first position.

    Without a behaviour drift every play lasts at least 30 s, so this is the probability of a play.

    Args:
        policy: Holds the catalogue and the tastes.
        requests: Requests of the contexts.

    Returns:
        Probabilities `[requests, released]`.
    """
    users, context = np.unique(requests.user, return_inverse=True)
    released = policy.shelves.released
    liking = utility(policy, np.repeat(users, len(released)), np.tile(released, len(users)))
    return sigmoid(liking).reshape(len(users), -1)[context]


def value(shares: np.ndarray, chances: np.ndarray, plays: np.ndarray) -> float:
    """Return the mean probability of a play-through under a policy.

    Args:
        shares: Share of sessions that begin in each context `[contexts]`.
        chances: Probability that the policy shows each item `[contexts, released]`, for instance from `item_chances`.
        plays: Probability that each item is played through `[contexts, released]`, from `play_chances`.
    """
    return float(shares @ (chances * plays).sum(axis=1))

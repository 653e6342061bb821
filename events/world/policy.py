"""The logging policy `epsilon-popular-taste`: a mixture whose probabilities are known.

Each position of a slate is filled by a draw from the mixture

    p(item) = 0.08 uniform + 0.27 popularity + 0.65 personal

without what is on the slate already. The recorded propensity is the chance of that very draw:
p(item) / (1 - p(items above it)). `personal` depends on the surface: what the listener searches
for; what is in the listener's library; else half a genre's shelf by taste, half a favourite creator.
"""

from dataclasses import dataclass

import numpy as np

from events.world.listeners import FAVOURITES, Tastes, softmax
from events.world.shelves import GENRE_SHELVES, Shelves
from segue.errors import InputError

NAME = "epsilon-popular-taste"
LONGEST = 8  # positions of the longest slate


@dataclass(frozen=True)
class Mixture:
    """How often each part of a policy fills a position; as it stands, the logging policy's.

    Raises:
        InputError: the weights are not shares of 1.
    """

    uniform: float = 0.08
    popular: float = 0.27
    personal: float = 0.65

    def __post_init__(self) -> None:
        weights = (self.uniform, self.popular, self.personal)
        if not (min(weights) >= 0 and abs(sum(weights) - 1) < 1e-9):
            raise InputError(
                f"The weights of a mixture are at least 0 and sum to 1. Received {weights}.", "Scale them to sum to 1."
            )


@dataclass(frozen=True)
class Requests:
    """What a slate is asked for, `[requests]` arrays.

    Args:
        user: listener.
        size: positions to fill, at most `LONGEST`.
        searched: the shelf that the query means, or -1.
        at_library: whether the slate is drawn from the listener's library.
    """

    user: np.ndarray
    size: np.ndarray
    searched: np.ndarray
    at_library: np.ndarray


@dataclass(frozen=True)
class Policy:
    """The policy of one day.

    Args:
        shelves: what is out.
        tastes: what listeners are drawn to.
        genres, kinds: the same as shares `[users, genres]` and `[users, kinds]`.
        chances: of each genre's shelf, by listener `[users, GENRE_SHELVES]`.
        upto: `chances`, cumulated.
        popular_upto: chances of the items by popularity, cumulated `[items]`.
        mixture: weights of the parts.
    """

    shelves: Shelves
    tastes: Tastes
    genres: np.ndarray
    kinds: np.ndarray
    chances: np.ndarray
    upto: np.ndarray
    popular_upto: np.ndarray
    mixture: Mixture = Mixture()

    @classmethod
    def of(cls, shelves: Shelves, tastes: Tastes) -> "Policy":
        """The logging policy for these shelves and tastes."""
        genres, kinds = softmax(tastes.genres), softmax(tastes.kinds)
        chances = shelves.chances(genres, kinds)
        return cls(shelves, tastes, genres, kinds, chances, chances.cumsum(axis=1), shelves.popular.cumsum())

    def slates(
        self, rng: np.random.Generator, requests: Requests, library: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fill the slates.

        Args:
            rng: random numbers of the day.
            requests: what is asked for.
            library: items of each listener's library `[users, slots]`, -1 where a slot is free;
                the taken slots come first.

        Returns:
            items `[requests, LONGEST]` (-1 beyond a slate's size) and propensities of that shape.
        """
        count = len(requests.user)
        items = np.full((count, LONGEST), -1)
        propensity = np.zeros((count, LONGEST))
        above = np.zeros(count)  # chance of what is on the slate already
        for position in range(LONGEST):
            filled = np.flatnonzero(requests.size > position)
            open_ = filled
            while len(open_):  # what is on the slate already is drawn again
                drawn = self.draw(rng, requests, library, open_)
                taken = (items[open_, :position] == drawn[:, None]).any(axis=1)
                items[open_[~taken], position] = drawn[~taken]
                open_ = open_[taken]
            chance = self.chance(requests, library, filled, items[filled, position])
            propensity[filled, position] = chance / (1 - above[filled])
            above[filled] += chance
        return items, propensity

    def draw(self, rng: np.random.Generator, requests: Requests, library: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """One draw from the mixture for each of the requests `rows`."""
        user, searched = requests.user[rows], requests.searched[rows]
        part, one, two = rng.random((3, len(rows)))
        released = self.shelves.released
        uniform = released[(one * len(released)).astype(np.int64)]
        popular = np.searchsorted(self.popular_upto, one * self.popular_upto[-1], side="right")
        by_taste = self.shelves.choose(self.upto, user, (2 * one) % 1)
        favourite = self.tastes.favourites[user, ((2 * one) % 1 * FAVOURITES).astype(np.int64)]
        shelf = np.where(one < 0.5, by_taste, GENRE_SHELVES + favourite)
        personal = self.shelves.draw(np.where(searched >= 0, searched, shelf), two)
        size = (library[user] >= 0).sum(axis=1)
        owned = library[user, (two * size).astype(np.int64)]
        personal = np.where(requests.at_library[rows] & (size > 0), owned, personal)
        mixture = self.mixture
        choices = [part < mixture.uniform, part < mixture.uniform + mixture.popular]
        return np.select(choices, [uniform, popular], personal)

    def chance(self, requests: Requests, library: np.ndarray, rows: np.ndarray, item: np.ndarray) -> np.ndarray:
        """The chance that `draw` gives `item` `[rows]` for the requests `rows`."""
        user, searched = requests.user[rows], requests.searched[rows]
        personal = self.taste_chance(user, item)
        meant = searched >= 0
        personal[meant] = self.shelves.chance(item[meant], searched[meant])
        size = (library[user] >= 0).sum(axis=1)
        owner = requests.at_library[rows] & (size > 0)
        personal[owner] = (library[user[owner]] == item[owner, None]).sum(axis=1) / size[owner]
        mixture = self.mixture
        impersonal = mixture.uniform / len(self.shelves.released) + mixture.popular * self.shelves.popular[item]
        return impersonal + mixture.personal * personal

    def taste_chance(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """The chance of the item by taste and favourites `[n]`: half a genre's shelf, half a favourite."""
        catalogue, weight = self.shelves.catalogue, self.shelves.weight
        shelf = self.shelves.genre_shelves(item)  # [n, 2]
        by_genre = (self.chances[user[:, None], shelf] * catalogue.share[item] / nonzero(weight[shelf])).sum(axis=1)
        creator = catalogue.creator[item]
        follows = (self.tastes.favourites[user] == creator[:, None]).mean(axis=1)
        return catalogue.weight[item] * (0.5 * by_genre + 0.5 * follows / weight[GENRE_SHELVES + creator])


def nonzero(weight: np.ndarray) -> np.ndarray:
    """The weights with 1 in place of 0: an empty shelf has no chance to divide."""
    return np.where(weight > 0, weight, 1.0)

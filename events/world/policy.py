"""The logging policy `epsilon-popular-taste`: a mixture whose probabilities are known.

Each position of a slate is filled by a draw from the mixture

    p(item) = 0.08 uniform + 0.27 popularity + 0.65 personal

among the items that are not on the slate yet. The recorded propensity is the probability of this draw:
p(item) / (1 - p(items above it)). `personal` depends on the surface. On `search` it draws from the shelf that the
query means, and on `library` from the listener's library unless that is empty. Otherwise it draws, with equal
probability, from a genre shelf chosen by taste or from the shelf of a favourite creator.
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
    """The probabilities with which each part of the mixture fills a position. The defaults are the logging policy's.

    Raises:
        InputError: A weight is negative, or the weights do not sum to 1.
    """

    uniform: float = 0.08
    popular: float = 0.27
    personal: float = 0.65

    def __post_init__(self) -> None:
        weights = (self.uniform, self.popular, self.personal)
        if not (min(weights) >= 0 and abs(sum(weights) - 1) < 1e-9):
            raise InputError(
                f"The weights of a mixture must be at least 0 and sum to 1. Received {weights}.",
                "Divide the weights by their sum.",
            )


@dataclass(frozen=True)
class Requests:
    """The requests for slates, as `[requests]` arrays.

    Args:
        user: Listener.
        size: Number of positions to fill, at most `LONGEST`.
        searched: Shelf that the query means, or -1 if nothing is searched for.
        at_library: Whether the `personal` part draws from the listener's library.
    """

    user: np.ndarray
    size: np.ndarray
    searched: np.ndarray
    at_library: np.ndarray


@dataclass(frozen=True)
class Policy:
    """The policy of one day.

    Args:
        shelves: The released items on their shelves.
        tastes: Tastes of the listeners.
        genres: Share of each genre in a listener's taste `[users, genres]`.
        content_types: Share of each content type in a listener's taste `[users, content_types]`.
        shelf_chances: Probability that a listener chooses each genre shelf `[users, GENRE_SHELVES]`.
        cumulative_shelf_chances: `shelf_chances`, cumulated over the shelves.
        cumulative_popularity: Probabilities of the items in a draw by popularity, cumulated `[items]`.
        mixture: Weights of the parts.
    """

    shelves: Shelves
    tastes: Tastes
    genres: np.ndarray
    content_types: np.ndarray
    shelf_chances: np.ndarray
    cumulative_shelf_chances: np.ndarray
    cumulative_popularity: np.ndarray
    mixture: Mixture = Mixture()

    @classmethod
    def of(cls, shelves: Shelves, tastes: Tastes) -> "Policy":
        """Return the logging policy for these shelves and tastes."""
        genres, content_types = softmax(tastes.genres), softmax(tastes.content_types)
        shelf_chances = shelves.chances(genres, content_types)
        return cls(
            shelves=shelves,
            tastes=tastes,
            genres=genres,
            content_types=content_types,
            shelf_chances=shelf_chances,
            cumulative_shelf_chances=shelf_chances.cumsum(axis=1),
            cumulative_popularity=shelves.popularity.cumsum(),
        )

    def slates(
        self, rng: np.random.Generator, requests: Requests, library: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fill the slates of the requests.

        Args:
            rng: Random generator of the day.
            requests: The requests.
            library: Items of each listener's library `[users, slots]`; -1 marks a free slot, and free slots come last.

        Returns:
            Items `[requests, LONGEST]`, -1 beyond a slate's size, and propensities of the same shape, 0 beyond it.
        """
        count = len(requests.user)
        items = np.full((count, LONGEST), -1)
        propensity = np.zeros((count, LONGEST))
        above = np.zeros(count)  # [requests], probability of the items that are on the slate already
        for position in range(LONGEST):
            rows = np.flatnonzero(requests.size > position)
            unfilled = rows
            while len(unfilled):  # an item that is on the slate already is drawn again
                drawn = self.draw(rng, requests, library, unfilled)
                taken = (items[unfilled, :position] == drawn[:, None]).any(axis=1)
                items[unfilled[~taken], position] = drawn[~taken]
                unfilled = unfilled[taken]
            chance = self.chance(requests, library, rows, items[rows, position])
            propensity[rows, position] = chance / (1 - above[rows])
            above[rows] += chance
        return items, propensity

    def draw(self, rng: np.random.Generator, requests: Requests, library: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Draw one item from the policy's mixture for each chosen request.

        Args:
            rng: Random generator of the day.
            requests: All requests.
            library: As for `slates`.
            rows: Positions of the chosen requests `[rows]`.

        Returns:
            Items `[rows]`. They may be on the slate already.
        """
        user, searched = requests.user[rows], requests.searched[rows]
        part_draw, first_draw, second_draw = rng.random((3, len(rows)))
        released = self.shelves.released
        uniform = released[(first_draw * len(released)).astype(np.int64)]
        cumulative_popularity = self.cumulative_popularity
        popular = np.searchsorted(cumulative_popularity, first_draw * cumulative_popularity[-1], side="right")
        # `first_draw` chooses between taste and favourite by its half. Within its half it is uniform again.
        draw_in_half = (2 * first_draw) % 1
        by_taste = self.shelves.choose(self.cumulative_shelf_chances, user, draw_in_half)
        favourite = self.tastes.favourites[user, (draw_in_half * FAVOURITES).astype(np.int64)]
        shelf = np.where(first_draw < 0.5, by_taste, GENRE_SHELVES + favourite)
        personal = self.shelves.draw(np.where(searched >= 0, searched, shelf), second_draw)
        library_size = (library[user] >= 0).sum(axis=1)
        owned = library[user, (second_draw * library_size).astype(np.int64)]
        personal = np.where(requests.at_library[rows] & (library_size > 0), owned, personal)
        mixture = self.mixture
        conditions = [part_draw < mixture.uniform, part_draw < mixture.uniform + mixture.popular]
        return np.select(conditions, [uniform, popular], personal)

    def chance(self, requests: Requests, library: np.ndarray, rows: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Return the probability that `draw` gives an item.

        Args:
            requests: All requests.
            library: As for `slates`.
            rows: Positions of the requests `[rows]`.
            item: One item for each of these requests `[rows]`.

        Returns:
            Probabilities `[rows]`.
        """
        user, searched = requests.user[rows], requests.searched[rows]
        personal = self.taste_chance(user, item)
        searching = searched >= 0
        personal[searching] = self.shelves.chance(item[searching], searched[searching])
        library_size = (library[user] >= 0).sum(axis=1)
        from_library = requests.at_library[rows] & (library_size > 0)
        copies = (library[user[from_library]] == item[from_library, None]).sum(axis=1)
        personal[from_library] = copies / library_size[from_library]
        mixture = self.mixture
        impersonal = mixture.uniform / len(self.shelves.released) + mixture.popular * self.shelves.popularity[item]
        return impersonal + mixture.personal * personal

    def taste_chance(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Return the probability that the `personal` part draws an item by taste.

        Half of the draws are from a genre shelf chosen by taste, half from the shelf of a favourite creator.

        Args:
            user: Listeners `[n]`.
            item: Items `[n]`.

        Returns:
            Probabilities `[n]`.
        """
        catalogue, weight = self.shelves.catalogue, self.shelves.weight
        shelf = self.shelves.genre_shelves(item)  # [n, 2]
        by_genre = (self.shelf_chances[user[:, None], shelf] * catalogue.share[item] / nonzero(weight[shelf])).sum(
            axis=1
        )
        creator = catalogue.creator[item]
        follows = (self.tastes.favourites[user] == creator[:, None]).mean(axis=1)
        return catalogue.weight[item] * (0.5 * by_genre + 0.5 * follows / weight[GENRE_SHELVES + creator])


def nonzero(weight: np.ndarray) -> np.ndarray:
    """Return the weights with 0 replaced by 1, so that dividing the probability 0 of an empty shelf gives 0."""
    return np.where(weight > 0, weight, 1.0)

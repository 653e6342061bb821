"""The released items, grouped on shelves from which the logging policy draws.

There is one shelf for each pair of a genre and a content type, and one for each creator. An item is drawn from a shelf
with a probability in proportion to its weight, so the probability of every draw is known.
"""

from dataclasses import dataclass

import numpy as np

from events.world import names
from events.world.catalogue import Catalogue

GENRE_SHELVES = len(names.GENRES) * len(names.CONTENT_TYPES)
NEW, NEW_DAYS = 2.0, 21.0  # a new item's popularity is 1 + NEW times as high; the gain falls to 1/e in NEW_DAYS


@dataclass(frozen=True)
class Shelves:
    """The shelves of one day.

    Args:
        released: The released items `[released]`.
        popularity: Probability of each item in a draw by popularity `[items]`; 0 before its release.
        member: Items by shelf, one shelf after the other `[members]`.
        cumulative_weight: Sum of the weights up to and including each member `[members]`.
        weight_before: Sum of the weights on all earlier shelves `[shelves]`.
        weight: Sum of the weights on each shelf `[shelves]`; 0 for an empty shelf.
        end: Position after the last member of each shelf `[shelves]`.
        catalogue: All items.
    """

    released: np.ndarray
    popularity: np.ndarray
    member: np.ndarray
    cumulative_weight: np.ndarray
    weight_before: np.ndarray
    weight: np.ndarray
    end: np.ndarray
    catalogue: Catalogue

    def chances(self, genres: np.ndarray, content_types: np.ndarray) -> np.ndarray:
        """Return the probability that a listener chooses each genre shelf `[users, GENRE_SHELVES]`.

        Empty shelves have probability 0.

        Args:
            genres: Share of each genre in the listener's taste `[users, genres]`.
            content_types: Share of each content type in the listener's taste `[users, content_types]`.
        """
        product = (genres[:, :, None] * content_types[:, None, :]).reshape(len(genres), -1)
        product = product * (self.weight[:GENRE_SHELVES] > 0)
        return product / product.sum(axis=1, keepdims=True)

    def choose(self, cumulative_chances: np.ndarray, user: np.ndarray, draw: np.ndarray) -> np.ndarray:
        """Choose a genre shelf for each draw.

        Args:
            cumulative_chances: `chances`, cumulated over the shelves `[users, GENRE_SHELVES]`.
            user: Listener of each draw `[n]`.
            draw: Uniform random numbers in [0, 1) `[n]`.

        Returns:
            Shelves `[n]`.
        """
        scaled = draw * cumulative_chances[user, -1]
        return (cumulative_chances[user] <= scaled[:, None]).sum(axis=1)

    def draw(self, shelf: np.ndarray, draw: np.ndarray) -> np.ndarray:
        """Draw an item from each shelf, in proportion to the weights.

        Args:
            shelf: Shelves `[n]`.
            draw: Uniform random numbers in [0, 1) `[n]`.

        Returns:
            Items `[n]`.
        """
        position = np.searchsorted(
            self.cumulative_weight, self.weight_before[shelf] + draw * self.weight[shelf], side="right"
        )
        return self.member[np.minimum(position, self.end[shelf] - 1)]

    def genre_shelves(self, item: np.ndarray) -> np.ndarray:
        """Return the two genre shelves of each item `[n, 2]`. The second may have the share 0."""
        return self.catalogue.genres[item] * len(names.CONTENT_TYPES) + self.catalogue.content_type[item][:, None]

    def chance(self, item: np.ndarray, shelf: np.ndarray) -> np.ndarray:
        """Return the probability that a draw from the shelf gives the item `[n]`; 0 for an item of another shelf.

        Args:
            item: Items `[n]`.
            shelf: Shelves `[n]`.
        """
        catalogue = self.catalogue
        of_genre = (catalogue.share[item] * (self.genre_shelves(item) == shelf[:, None])).sum(axis=1)
        of_creator = catalogue.creator[item] + GENRE_SHELVES == shelf
        return catalogue.weight[item] * (of_genre + of_creator) / self.weight[shelf]


def stock(catalogue: Catalogue, day: int) -> Shelves:
    """Return the shelves of a day, with all items released until then."""
    released = np.flatnonzero(catalogue.release <= day)
    two_genres = released[catalogue.share[released, 1] > 0]
    type_count = len(names.CONTENT_TYPES)
    item = np.concatenate([released, two_genres, released])
    shelf = np.concatenate([
        catalogue.genres[released, 0] * type_count + catalogue.content_type[released],
        catalogue.genres[two_genres, 1] * type_count + catalogue.content_type[two_genres],
        GENRE_SHELVES + catalogue.creator[released],
    ])  # fmt: skip
    share = np.concatenate([catalogue.share[released, 0], catalogue.share[two_genres, 1], np.ones(len(released))])
    order = np.argsort(shelf, kind="stable")
    weight = (share * catalogue.weight[item])[order]
    count = GENRE_SHELVES + int(catalogue.creator.max()) + 1
    cumulative_weight = weight.cumsum()
    end = np.searchsorted(shelf[order], np.arange(count), side="right")
    weight_until = np.concatenate([[0.0], cumulative_weight])[end]
    weight_before = np.concatenate([[0.0], weight_until[:-1]])
    age = day - catalogue.release
    popularity = catalogue.weight * (1 + NEW * np.exp(-np.maximum(age, 0) / NEW_DAYS)) * (age >= 0)
    return Shelves(
        released=released,
        popularity=popularity / popularity.sum(),
        member=item[order],
        cumulative_weight=cumulative_weight,
        weight_before=weight_before,
        weight=weight_until - weight_before,
        end=end,
        catalogue=catalogue,
    )

"""The released items on shelves: one for each genre and kind, one for each creator.

An item is drawn from a shelf by its weight, so the chance of every draw is known.
"""

from dataclasses import dataclass

import numpy as np

from events.world import names
from events.world.catalogue import Catalogue

GENRE_SHELVES = len(names.GENRES) * len(names.KINDS)
NEW, NEW_DAYS = 2.0, 21.0  # how much a new item's popularity is lifted, and how soon that fades


@dataclass(frozen=True)
class Shelves:
    """The shelves of one day.

    Args:
        released: items `[released]`.
        popular: chance of each item by popularity `[items]`; 0 before its release.
        member: items by shelf, one shelf after the other `[members]`.
        upto: weight up to and including each member `[members]`.
        before: weight before each shelf `[shelves]`.
        weight: weight on each shelf `[shelves]`; 0 for an empty one.
        end: position after each shelf's last member `[shelves]`.
        catalogue: what the items are.
    """

    released: np.ndarray
    popular: np.ndarray
    member: np.ndarray
    upto: np.ndarray
    before: np.ndarray
    weight: np.ndarray
    end: np.ndarray
    catalogue: Catalogue

    def chances(self, genres: np.ndarray, kinds: np.ndarray) -> np.ndarray:
        """How likely each listener goes to each genre's shelf `[users, GENRE_SHELVES]`; empty ones never.

        Args:
            genres: shares `[users, genres]`.
            kinds: shares `[users, kinds]`.
        """
        both = (genres[:, :, None] * kinds[:, None, :]).reshape(len(genres), -1)
        both = both * (self.weight[:GENRE_SHELVES] > 0)
        return both / both.sum(axis=1, keepdims=True)

    def choose(self, upto: np.ndarray, user: np.ndarray, draw: np.ndarray) -> np.ndarray:
        """A shelf for each draw in [0, 1), from the cumulated `chances` of its listener."""
        scaled = draw * upto[user, -1]
        return (upto[user] <= scaled[:, None]).sum(axis=1)

    def draw(self, shelf: np.ndarray, draw: np.ndarray) -> np.ndarray:
        """An item of each shelf, by weight, for each draw in [0, 1)."""
        at = np.searchsorted(self.upto, self.before[shelf] + draw * self.weight[shelf], side="right")
        return self.member[np.minimum(at, self.end[shelf] - 1)]

    def genre_shelves(self, item: np.ndarray) -> np.ndarray:
        """The two genre shelves of each item `[n, 2]`; the second may have the share 0."""
        return self.catalogue.genres[item] * len(names.KINDS) + self.catalogue.kind[item][:, None]

    def chance(self, item: np.ndarray, shelf: np.ndarray) -> np.ndarray:
        """The chance that a draw from the shelf gives the item `[n]`; 0 if it is not on it."""
        cat = self.catalogue
        of_genre = (cat.share[item] * (self.genre_shelves(item) == shelf[:, None])).sum(axis=1)
        of_creator = cat.creator[item] + GENRE_SHELVES == shelf
        return cat.weight[item] * (of_genre + of_creator) / self.weight[shelf]


def stock(catalogue: Catalogue, day: int) -> Shelves:
    """Put what is out on `day` on its shelves."""
    released = np.flatnonzero(catalogue.release <= day)
    second = released[catalogue.share[released, 1] > 0]
    kinds = len(names.KINDS)
    item = np.concatenate([released, second, released])
    shelf = np.concatenate([
        catalogue.genres[released, 0] * kinds + catalogue.kind[released],
        catalogue.genres[second, 1] * kinds + catalogue.kind[second],
        GENRE_SHELVES + catalogue.creator[released],
    ])  # fmt: skip
    share = np.concatenate([catalogue.share[released, 0], catalogue.share[second, 1], np.ones(len(released))])
    order = np.argsort(shelf, kind="stable")
    weight = (share * catalogue.weight[item])[order]
    count = GENRE_SHELVES + int(catalogue.creator.max()) + 1
    upto = weight.cumsum()
    end = np.searchsorted(shelf[order], np.arange(count), side="right")
    until = np.concatenate([[0.0], upto])[end]
    before = np.concatenate([[0.0], until[:-1]])
    age = day - catalogue.release
    lifted = catalogue.weight * (1 + NEW * np.exp(-np.maximum(age, 0) / NEW_DAYS)) * (age >= 0)
    return Shelves(
        released=released,
        popular=lifted / lifted.sum(),
        member=item[order],
        upto=upto,
        before=before,
        weight=until - before,
        end=end,
        catalogue=catalogue,
    )

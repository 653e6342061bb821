"""The candidates of a Home page, as columns that all its shelves share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from segue.errors import InputError


@dataclass(frozen=True)
class Pool:
    """The items that may stand on the page, each once. The order of the rows does not matter to the page.

    Args:
        item_ids: str `[n]`, no item twice.
        reward: the ranking model's reward, `[n]`; without ranking any score of which more is better.
        uncertainty: from 0 (well known) to 1 (nothing is known), `[n]`.
        creator_id: str `[n]`; '' where the creator is not known.
        content_type: str `[n]`.
        genres: the genres of each item, `[n]`; each may be empty.
        vectors: what makes items alike, e.g. genres as 0 and 1, or an embedding, `[n, d]`; of any length.
        age_days: days since the release at the instant of the request, `[n]`; infinity where it is not known.
        sources: for each item, the names of the sources that found it, `[n]`.
        scores: by output or model, the score of each item, `[n]` each; for the log of exposures.

    Raises:
        InputError: a column has another length, an item comes twice, or a reward is not finite.
    """

    item_ids: np.ndarray
    reward: np.ndarray
    uncertainty: np.ndarray
    creator_id: np.ndarray
    content_type: np.ndarray
    genres: Sequence[Sequence[str]]
    vectors: np.ndarray
    age_days: np.ndarray
    sources: Sequence[Sequence[str]]
    scores: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        count = len(self.item_ids)
        columns = {name: getattr(self, name) for name in COLUMNS} | self.scores
        if wrong := [name for name, column in columns.items() if len(column) != count]:
            raise InputError(
                f"Each column of a pool has one row an item, here {count}. "
                f"Received {len(columns[wrong[0]])} rows of `{wrong[0]}`.",
                "Pass columns of the same length.",
            )
        if len(set(self.item_ids.tolist())) < count:
            raise InputError(
                "A pool has each item once. Received an item twice.", "Merge the answers of the sources first."
            )
        if not np.isfinite(self.reward).all():
            raise InputError(
                f"The reward of an item is finite. Received {self.reward[~np.isfinite(self.reward)][0]}.",
                "Leave out items that were not scored.",
            )

    def __len__(self) -> int:
        return len(self.item_ids)

    @cached_property
    def relevance(self) -> np.ndarray:
        """The reward in standard deviations from the pool's mean, `[n]`, so that weights fit a reward of any scale."""
        return (self.reward - self.mean) / self.spread

    @cached_property
    def mean(self) -> np.float64:
        """The mean reward. Here and below, the methods of numpy's arrays would take twice as long."""
        return np.add.reduce(self.ascending) / len(self)

    @cached_property
    def spread(self) -> float:
        """The standard deviation of the reward; 1 if all rewards are equal."""
        return math.sqrt(np.add.reduce((self.ascending - self.mean) ** 2) / len(self)) or 1.0

    @cached_property
    def ascending(self) -> np.ndarray:
        """The rewards in ascending order, float64 `[n]`: a sum over them does not depend on the order of the pool."""
        return np.sort(self.reward.astype(np.float64))

    @cached_property
    def directions(self) -> np.ndarray:
        """The vectors at length 1, float64 `[n, d]`; a zero vector stays zero and is like no other."""
        vectors = np.asarray(self.vectors, np.float64)
        lengths = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
        return vectors / np.where(lengths > 0, lengths, 1.0)

    @cached_property
    def order(self) -> np.ndarray:
        """The place of each item in the order of the ids, `[n]`: ties are broken by it."""
        ids = self.item_ids.tolist()
        return places(sorted(range(len(ids)), key=ids.__getitem__))  # twice as fast as numpy on text

    @cached_property
    def best_first(self) -> np.ndarray:
        """Rows from the most to the least relevant item, `[n]`; of equal ones the first by id."""
        rows = (-self.relevance).argsort(kind="stable")
        ranked = self.relevance[rows]
        if (ranked[1:] < ranked[:-1]).all():  # as a rule no two are equal, and ids need not be sorted
            return rows
        return np.lexsort((self.order, -self.relevance))

    @cached_property
    def creators(self) -> np.ndarray:
        """A number for each creator, `[n]`; items of unknown creators have numbers of their own."""
        names = self.creator_id.tolist()
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        codes = np.array([numbers[name] for name in names], np.intp)
        return np.where(self.creator_id == "", len(self) + np.arange(len(self)), codes)


def places(ranked: Sequence[int] | np.ndarray) -> np.ndarray:
    """The place of each item in a ranking of all items, `[n]`."""
    places = np.empty(len(ranked), np.intp)
    places[ranked] = np.arange(len(ranked))
    return places


COLUMNS = tuple(field.name for field in fields(Pool) if field.name != "scores")

"""Wishes as offsets of the sequence model's scores, by the algebra of `models/sequence/steering.py`.

An item of a wished genre, creator or type gets the weight of the wish: a weight of 1 makes it e times as likely. The
model's own steering is in its signature `generate`, which draws inside the model and tells no propensities. The same
sums here give the same scores (a test compares them), and the draw stays with the gateway.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from surfaces.catalogue import NO_DAY, Catalogue

DECADE_DAYS = 3_652.425


@dataclass(frozen=True)
class Wishes:
    """What a request wants more of, and less of where a weight is negative.

    Attributes:
        genres, creators, types: name or id -> weight.
        near: item id -> weight of an item that is wished for by itself.
        newer: weight of an item that is released a decade later than the catalogue's mean.
        rarer: weight of an item whose log plays lie a standard deviation below the mean.
        eras: first day, last day (since 1970 UTC) and weight of the releases in between.
        unheard: leave out the items of the history.
    """

    genres: Mapping[str, float] = field(default_factory=dict)
    creators: Mapping[str, float] = field(default_factory=dict)
    types: Mapping[str, float] = field(default_factory=dict)
    near: Mapping[str, float] = field(default_factory=dict)
    newer: float = 0.0
    rarer: float = 0.0
    eras: tuple[tuple[int, int, float], ...] = ()
    unheard: bool = False

    @property
    def names_items(self) -> bool:
        """Whether an item can get an offset because of its genre, creator, type, release or id."""
        return any((self.genres, self.creators, self.types, self.near, self.eras))


def total(wishes: list[Wishes]) -> Wishes:
    """Several wishes as one: weights of one name add up."""
    named: dict[str, dict[str, float]] = {}
    for name in ("genres", "creators", "types", "near"):
        sums: dict[str, float] = {}
        for wish in wishes:
            for key, weight in getattr(wish, name).items():
                sums[key] = sums.get(key, 0.0) + weight
        named[name] = sums
    return Wishes(
        **named,
        newer=sum(wish.newer for wish in wishes),
        rarer=sum(wish.rarer for wish in wishes),
        eras=tuple(era for wish in wishes for era in wish.eras),
        unheard=any(wish.unheard for wish in wishes),
    )


def offsets(wishes: Wishes, catalogue: Catalogue, rows: np.ndarray) -> np.ndarray:
    """What the wishes add to the scores of some items, float32 `[n]`.

    Args:
        wishes: names that no item has add nothing.
        catalogue: the items.
        rows: rows of the catalogue, int32 `[n]`.
    """
    by_genre = np.array([wishes.genres.get(name, 0.0) for name in catalogue.genre_names], np.float32)
    added = (catalogue.genre_vectors[rows] > 0) @ by_genre
    for weights, column in (
        (wishes.creators, catalogue.creator_ids),
        (wishes.types, catalogue.content_types),
        (wishes.near, catalogue.item_ids),
    ):
        if weights:
            added += np.array([weights.get(name, 0.0) if name else 0.0 for name in column[rows].tolist()], np.float32)
    days = catalogue.release_days[rows]
    for first, last, weight in wishes.eras:
        added += weight * ((days >= first) & (days <= last))
    if wishes.newer:
        added += wishes.newer * decades(catalogue)[rows]
    if wishes.rarer:
        added += wishes.rarer * rarity(catalogue)[rows]
    return added.astype(np.float32)


def decades(catalogue: Catalogue) -> np.ndarray:
    """Decades from the catalogue's mean release to each item's release, float32 `[n + 1]`; 0 if it is unknown."""
    stated = catalogue.release_days != NO_DAY
    days = catalogue.release_days.astype(np.float64)
    mean = days[stated].mean() if stated.any() else 0.0
    return np.where(stated, (days - mean) / DECADE_DAYS, 0.0).astype(np.float32)


def rarity(catalogue: Catalogue) -> np.ndarray:
    """How rare each item is, float32 `[n + 1]`: standard deviations of the log plays below the mean."""
    rare = -np.log1p(catalogue.popularity[""].astype(np.float64))
    return ((rare - rare[:-1].mean()) / (rare[:-1].std() or 1.0)).astype(np.float32)

"""What listeners and items of version 2 have beyond those of version 1."""

from dataclasses import dataclass

import numpy as np

from events.world import names
from events.world.catalogue import Catalogue
from events.world.config import Stream, generator
from events.world.listeners import Tastes
from events.world.live.moods import GENRE_SHIFT, MOODS

EFFECT = 0.7  # standard deviation of the listener effect, in logits of a play
DISLIKES = 3  # most creators that a listener dislikes
DISLIKING_SHARE = 0.4  # share of the listeners who dislike creators
FITTING_SHARE = 0.8  # share of the items whose mood lifts their main genre
EXPLICIT_SHARES = {"hip hop": 0.4, "metal": 0.3, "punk": 0.3}
EXPLICIT_SHARE = 0.05  # of the items of the other genres


@dataclass(frozen=True)
class ListenerTraits:
    """Traits of the listeners.

    Args:
        effect: How readily the listener plays anything, as a logit `[users]`. All outcomes of a listener share it, so a
            statistic that counts rows as independent is too sure of itself.
        hour_strength: How much the hour changes the content types that the listener wants `[users]`, of mean 1.
        moods: Logits of the moods `[users, moods]`.
        disliked: Creators that the listener never plays `[users, DISLIKES]`; -1 marks a free place. A favourite creator
            is never disliked in the first week.
    """

    effect: np.ndarray
    hour_strength: np.ndarray
    moods: np.ndarray
    disliked: np.ndarray


@dataclass(frozen=True)
class ItemTraits:
    """Traits of the items.

    Args:
        mood: Position in `MOODS` of the mood that the item suits `[items]`.
        explicit: Whether the item is explicit `[items]`.
    """

    mood: np.ndarray
    explicit: np.ndarray


def listener_traits(seed: int, tastes: Tastes, creators: int) -> ListenerTraits:
    """Return the traits of all listeners.

    Args:
        seed: Seed of the world.
        tastes: Tastes in the first week.
        creators: Number of creators.
    """
    rng = generator(seed, Stream.TRAITS)
    count = len(tastes.favourites)
    dislikes = rng.random(count) < DISLIKING_SHARE
    drawn = rng.integers(creators, size=(count, DISLIKES))
    free = ~dislikes[:, None] | (np.arange(DISLIKES) >= rng.integers(1, DISLIKES + 1, (count, 1)))
    favourite = (drawn[:, :, None] == tastes.favourites[:, None, :]).any(axis=2)
    return ListenerTraits(
        effect=EFFECT * rng.standard_normal(count),
        hour_strength=rng.gamma(4.0, 0.25, count),
        moods=0.7 * rng.standard_normal((count, len(MOODS))),
        disliked=np.where(free | favourite, -1, drawn),
    )


def item_traits(seed: int, catalogue: Catalogue) -> ItemTraits:
    """Return the traits of all items. Those of an item do not depend on the items after it."""
    fit_draw, mood_draw, explicit_draw = generator(seed, Stream.TRAITS, 1).random((len(catalogue), 3)).T
    main = catalogue.genres[:, 0]
    fits = GENRE_SHIFT.T[main] > 0  # [items, moods]
    fits[~fits.any(axis=1) | (fit_draw >= FITTING_SHARE)] = True
    cumulative = fits.cumsum(axis=1)
    share = np.array([EXPLICIT_SHARES.get(genre, EXPLICIT_SHARE) for genre in names.GENRES])
    return ItemTraits(
        mood=(cumulative <= (mood_draw * cumulative[:, -1])[:, None]).sum(axis=1),
        explicit=explicit_draw < share[main],
    )

"""How listeners of version 2 respond to an item that they look at: utilities, and the chances of every outcome."""

from dataclasses import dataclass

import numpy as np

from events import schema
from events.world import names
from events.world.behaviour import (
    ADD_LOGIT,
    LIKE_LOGIT,
    LONGEST_PLAY_MS,
    SHORT_PLAY,
    SHORTEST_MS,
    UTILITY_SLOPE,
    play_chances,
    sigmoid,
)
from events.world.config import WorldConfig
from events.world.day import DAY, HOME
from events.world.listeners import softmax
from events.world.live.moods import GENRE_SHIFT, content_mix
from events.world.live.pages import Pages
from events.world.live.traits import ItemTraits, ListenerTraits
from events.world.policy import Policy

MOOD_FIT = 0.6  # logits of an item whose mood is the session's
BEND, DROP = 4.0, 1.2  # of the share that is played of an item, whose distribution is Kumaraswamy's
HOUR = DAY / 24


@dataclass(frozen=True)
class Today:
    """The world on one day: all that a response depends on.

    Args:
        config: The world.
        day: The day, counted from 0.
        policy: Holds the tastes and the released items of the day.
        listeners: Traits of the listeners.
        items: Traits of the items.
    """

    config: WorldConfig
    day: int
    policy: Policy
    listeners: ListenerTraits
    items: ItemTraits

    def liking(self, user: np.ndarray, hour: np.ndarray, mood: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Return the logit of playing on after looking at an item.

        Args:
            user, hour, mood: Listener, hour of the request (UTC) and mood of the session `[n]`.
            item: Items `[n, slots]`; -1 marks an empty slot, whose logit means nothing.

        Returns:
            Logits `[n, slots]`, minus infinity for an item of a disliked creator.
        """
        catalogue, tastes, traits = self.policy.shelves.catalogue, self.policy.tastes, self.listeners
        genres = softmax(tastes.genres[user] + GENRE_SHIFT[mood])  # [n, genres]
        types = content_mix(tastes.content_types[user], traits.hour_strength[user], hour)  # [n, content_types]
        row = np.arange(len(user))[:, None]
        creator = catalogue.creator[item]
        genre_share = sum(genres[row, catalogue.genres[item, g]] * catalogue.share[item, g] for g in (0, 1))
        follows = (tastes.favourites[user][:, None] == creator[..., None]).any(axis=2)
        dislikes = (traits.disliked[user][:, None] == creator[..., None]).any(axis=2)
        utility = (
            -0.5
            + 1.0 * np.log(0.1 + genre_share * len(names.GENRES))
            + 0.9 * np.log(0.2 + types[row, catalogue.content_type[item]] * len(names.CONTENT_TYPES))
            + 1.2 * follows
            + 0.5 * catalogue.quality[item]
            + MOOD_FIT * (self.items.mood[item] == mood[:, None])
            + traits.effect[user][:, None]
        )
        return np.where(dislikes, -np.inf, utility)

    def play_ms(self, item: np.ndarray, draw: np.ndarray) -> np.ndarray:
        """Return how long a play lasts, in milliseconds, from uniform random numbers; all of one shape."""
        share, shortest = (1 - (1 - draw) ** (1 / DROP)) ** (1 / BEND), schema.PLAY_THROUGH_MS
        if self.config.drifts("behaviour", self.day):
            share, shortest = SHORT_PLAY * share, SHORTEST_MS
        duration = self.policy.shelves.catalogue.duration_ms[item]
        return np.clip(share * duration, shortest, LONGEST_PLAY_MS).astype(np.int64)

    def long_enough(self, item: np.ndarray, ms: np.ndarray | float) -> np.ndarray:
        """Return the probability that a play lasts at least `ms` milliseconds; exact, of the shape of `item`."""
        drifted = self.config.drifts("behaviour", self.day)
        shortest = SHORTEST_MS if drifted else schema.PLAY_THROUGH_MS
        share = ms / (self.policy.shelves.catalogue.duration_ms[item] * (SHORT_PLAY if drifted else 1.0))
        chance = (1 - np.minimum(share, 1) ** BEND) ** DROP
        return np.where(ms <= shortest, 1.0, np.where(ms > LONGEST_PLAY_MS, 0.0, chance))

    def play_chance(self, liking: np.ndarray) -> np.ndarray:
        """Return the probability that an item that is looked at is played on."""
        return play_chances(self.config, self.day, liking)

    def lost(self, pages: Pages) -> np.ndarray:
        """Return whether the plays and play times of each slot are lost, as those of Home are in an outage
        `[pages, slots]`."""
        outage = self.config.drifts("outage", self.day)
        return np.broadcast_to((outage & (pages.surface == HOME))[:, None], pages.item.shape)


def hour_of(at: np.ndarray) -> np.ndarray:
    """Return the hour of the day (UTC), from 0 to 24, of times in microseconds."""
    return at % DAY / HOUR


def like_chance(liking: np.ndarray) -> np.ndarray:
    """Return the probability of a like after a play."""
    return sigmoid(LIKE_LOGIT + UTILITY_SLOPE * liking)


def add_chance(liking: np.ndarray) -> np.ndarray:
    """Return the probability of an add after a play."""
    return sigmoid(ADD_LOGIT + UTILITY_SLOPE * liking)

"""Simulate how listeners respond to the items that they are shown."""

from dataclasses import dataclass

import numpy as np

from events import schema
from events.world import names
from events.world.config import WorldConfig
from events.world.policy import Policy

SECOND = 1_000_000  # microseconds
EXAMINATION = 0.7  # a listener examines a position with probability 1 / position ** EXAMINATION
LONGEST_PLAY_MS = 20 * 60_000
SHORT_PLAY, SHORTEST_MS = 0.2, 5_000  # a behaviour drift cuts plays to this share, but not below SHORTEST_MS
SHORTEST_SKIP_MS = 1_000
LIKE_LOGIT, ADD_LOGIT = -2.6, -3.4  # of a like and an add after a play of an item with utility 0
UTILITY_SLOPE = 0.8  # how much both logits rise with the utility


@dataclass(frozen=True)
class Responses:
    """How listeners respond to the impressions of a day, as `[shown]` arrays.

    Args:
        examined: Whether the listener looks at the position.
        played: Whether the listener plays the item on. An examined item that is not played on is skipped.
        ms: Milliseconds played, of a play or a skip.
        pause: Microseconds from the end of the play or skip until the listener looks at the next position.
        liked, added: Whether the listener likes or adds the item after playing it.
    """

    examined: np.ndarray
    played: np.ndarray
    ms: np.ndarray
    pause: np.ndarray
    liked: np.ndarray
    added: np.ndarray


def utility(policy: Policy, user: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Return how much each listener likes an item, as the logit of playing on after examining it.

    Args:
        policy: Holds the catalogue and the tastes.
        user: Listeners `[n]`.
        item: Items `[n]`.

    Returns:
        Logits `[n]`.
    """
    catalogue, tastes = policy.shelves.catalogue, policy.tastes
    by_genre = policy.genres[user[:, None], catalogue.genres[item]]  # [n, 2]
    genre_share = (by_genre * catalogue.share[item]).sum(axis=1)
    follows = (tastes.favourites[user] == catalogue.creator[item][:, None]).any(axis=1)
    return (
        -0.3
        + 1.0 * np.log(0.1 + genre_share * len(names.GENRES))
        + 0.5 * np.log(0.3 + policy.content_types[user, catalogue.content_type[item]] * len(names.CONTENT_TYPES))
        + 1.2 * follows
        + 0.5 * catalogue.quality[item]
    )


def respond(
    config: WorldConfig,
    rng: np.random.Generator,
    day: int,
    position: np.ndarray,
    liking: np.ndarray,
    duration_ms: np.ndarray,
) -> Responses:
    """Draw the response to each impression.

    Args:
        config: Says whether behaviour has drifted.
        rng: Random generator of the day.
        day: The day, counted from 0.
        position: Positions on the slate, from 1 `[shown]`.
        liking: `utility` of the items for their listeners `[shown]`.
        duration_ms: Durations of the items `[shown]`.
    """
    examine_draw, play_draw, skip_draw, like_draw, add_draw = rng.random((5, len(position)))
    play_chance = play_chances(config, day, liking)
    played_share, shortest = rng.beta(4, 1.2, len(position)), schema.PLAY_THROUGH_MS
    if config.drifts("behaviour", day):  # plays are shorter
        played_share, shortest = SHORT_PLAY * played_share, SHORTEST_MS
    examined = examine_draw < position**-EXAMINATION
    played = examined & (play_draw < play_chance)
    play_ms = np.clip(played_share * duration_ms, shortest, LONGEST_PLAY_MS)
    skip_ms = SHORTEST_SKIP_MS + skip_draw * (schema.PLAY_THROUGH_MS - 2 * SHORTEST_SKIP_MS)
    return Responses(
        examined=examined,
        played=played,
        ms=np.where(played, play_ms, skip_ms).astype(np.int64),
        pause=np.where(played, rng.integers(8 * SECOND, 20 * SECOND, len(position)), SECOND),
        liked=played & (like_draw < sigmoid(LIKE_LOGIT + UTILITY_SLOPE * liking)),
        added=played & (add_draw < sigmoid(ADD_LOGIT + UTILITY_SLOPE * liking)),
    )


def play_chances(config: WorldConfig, day: int, liking: np.ndarray) -> np.ndarray:
    """Return the probability that an examined item is played on. A behaviour drift makes skips twice as likely."""
    chance = sigmoid(liking)
    return np.maximum(1 - 2 * (1 - chance), 0) if config.drifts("behaviour", day) else chance


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """Return the probability of a logit."""
    return 1 / (1 + np.exp(-logit))

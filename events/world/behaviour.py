"""What listeners do with what they are shown."""

from dataclasses import dataclass

import numpy as np

from events import schema
from events.world import names
from events.world.config import WorldConfig
from events.world.policy import Policy

SECOND = 1_000_000  # microseconds
EXAMINATION = 0.7  # a position is looked at with probability 1 / position ** EXAMINATION
LONGEST_PLAY_MS = 20 * 60_000
SHORT_PLAY, SHORTEST_MS = 0.2, 5_000  # a behaviour drift cuts plays to this share, and this at least
SHORTEST_SKIP_MS = 1_000
LIKE, ADD = -2.6, -3.4  # logits of a like and an add after a play of something of liking 0
LIKING = 0.8  # how much they rise with liking


@dataclass(frozen=True)
class Responses:
    """`[shown]` arrays.

    Args:
        examined: whether the position is looked at.
        played: whether it is then played on; what is examined and not played is skipped.
        ms: milliseconds played.
        pause: microseconds from there to the next thing.
        liked, added: after a play.
    """

    examined: np.ndarray
    played: np.ndarray
    ms: np.ndarray
    pause: np.ndarray
    liked: np.ndarray
    added: np.ndarray


def utility(policy: Policy, user: np.ndarray, item: np.ndarray) -> np.ndarray:
    """How much each listener likes each item `[n]`: the logit of playing on, once it is looked at."""
    catalogue, tastes = policy.shelves.catalogue, policy.tastes
    by_genre = policy.genres[user[:, None], catalogue.genres[item]]  # [n, 2]
    share = (by_genre * catalogue.share[item]).sum(axis=1)
    follows = (tastes.favourites[user] == catalogue.creator[item][:, None]).any(axis=1)
    return (
        -0.3
        + 1.0 * np.log(0.1 + share * len(names.GENRES))
        + 0.5 * np.log(0.3 + policy.kinds[user, catalogue.kind[item]] * len(names.KINDS))
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
    """Draw what happens to each position shown.

    Args:
        config: says whether behaviour has drifted.
        rng: random numbers of the day.
        day: counted from the first.
        position: from 1 `[shown]`.
        liking: `utility` `[shown]`.
        duration_ms: of the items `[shown]`.
    """
    look, play, fast, like, add = rng.random((5, len(position)))
    play_chance = sigmoid(liking)
    part, shortest = rng.beta(4, 1.2, len(position)), schema.PLAY_THROUGH_MS
    if config.drifts("behaviour", day):  # a skip is twice as likely, and plays end early
        play_chance = np.maximum(1 - 2 * (1 - play_chance), 0)
        part, shortest = SHORT_PLAY * part, SHORTEST_MS
    examined = look < position**-EXAMINATION
    played = examined & (play < play_chance)
    play_ms = np.clip(part * duration_ms, shortest, LONGEST_PLAY_MS)
    skip_ms = SHORTEST_SKIP_MS + fast * (schema.PLAY_THROUGH_MS - 2 * SHORTEST_SKIP_MS)
    return Responses(
        examined=examined,
        played=played,
        ms=np.where(played, play_ms, skip_ms).astype(np.int64),
        pause=np.where(played, rng.integers(8 * SECOND, 20 * SECOND, len(position)), SECOND),
        liked=played & (like < sigmoid(LIKE + LIKING * liking)),
        added=played & (add < sigmoid(ADD + LIKING * liking)),
    )


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """The probability of a logit."""
    return 1 / (1 + np.exp(-logit))

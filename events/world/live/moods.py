"""The moods of sessions: how often they occur, which genres they lift, and what each hour of the day asks for."""

import numpy as np

from events.world import names
from events.world.listeners import softmax

MOODS = ("calm", "energetic", "focused", "melancholic", "festive", "curious")
LIFTED = {
    "calm": ("ambient", "classical", "folk", "jazz"),
    "energetic": ("rock", "metal", "punk", "electronic"),
    "focused": ("ambient", "classical", "electronic", "jazz"),
    "melancholic": ("blues", "soul", "folk", "country"),
    "festive": ("pop", "latin", "reggae", "hip hop"),
    "curious": ("world", "jazz", "reggae", "hip hop"),
}
LIFT = 1.5  # logits that a mood adds to the genres that it lifts
GENRE_SHIFT = LIFT * np.array([[genre in LIFTED[mood] for genre in names.GENRES] for mood in MOODS])  # [moods, genres]

MORNING, DAY, EVENING, LATE = range(4)
PART_BEGINS = (0.0, 10.0, 17.0, 21.0)  # hours (UTC) at which the parts of a day begin
# Logits of the moods in each part of a day, in the order of MOODS.
MOOD_BY_PART = np.array([
    (0.2, 0.8, 0.6, -0.4, -0.8, 0.2),
    (-0.2, 0.2, 1.0, -0.2, -0.2, 0.2),
    (0.2, 0.6, -0.4, 0.0, 0.8, 0.2),
    (1.0, -0.6, -0.2, 0.6, 0.2, 0.0),
])  # fmt: skip
# Logits that a part of a day adds to the content types, in the order of `names.CONTENT_TYPES`, at strength 1: podcasts
# on the way to work, music through the day, audiobooks late.
TYPE_BY_PART = np.array([(-0.4, 1.4, -0.6), (0.6, -0.3, -0.4), (0.3, 0.0, 0.0), (-0.3, -0.3, 1.6)])


def part_of_day(hour: np.ndarray) -> np.ndarray:
    """Return the part of the day, from `MORNING` to `LATE`, of each hour (UTC, 0 to 24)."""
    return np.searchsorted(PART_BEGINS, hour, side="right") - 1


def mood_chances(preference: np.ndarray, hour: np.ndarray) -> np.ndarray:
    """Return the probability of each mood in a session that begins at an hour `[n, moods]`.

    Args:
        preference: Logits of the moods of the listener `[n, moods]`.
        hour: Hour of the start (UTC) `[n]`.
    """
    return softmax(preference + MOOD_BY_PART[part_of_day(hour)])


def content_mix(logits: np.ndarray, strength: np.ndarray, hour: np.ndarray) -> np.ndarray:
    """Return the share of each content type that a listener wants at an hour `[n, content_types]`.

    Args:
        logits: `Tastes.content_types` of the listeners `[n, content_types]`.
        strength: How much the hour matters to them `[n]`.
        hour: Hour (UTC) `[n]`.
    """
    return softmax(logits + strength[:, None] * TYPE_BY_PART[part_of_day(hour)])

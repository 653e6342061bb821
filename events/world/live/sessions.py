"""The sessions of a day: who listens, from when, where they begin, and in which mood."""

from dataclasses import dataclass

import numpy as np

from events.world.config import Stream, generator
from events.world.day import DAY_CODES, visits
from events.world.listeners import Listeners
from events.world.live.moods import mood_chances
from events.world.live.outcomes import hour_of
from events.world.live.traits import ListenerTraits

MOST_REQUESTS = 8  # of a session; the requests of session s are numbered from s * MOST_REQUESTS


@dataclass(frozen=True)
class Sessions:
    """The sessions that begin on a day, in the order of their starts, as `[sessions]` arrays.

    Args:
        number: Numbers, unique in the world.
        user: Listener.
        began: Start, in microseconds from the start of the first day.
        surface: Surface of the first page, a position in `schema.SURFACES`.
        mood: A position in `MOODS`. It lasts for the session, and no log tells it.
    """

    number: np.ndarray
    user: np.ndarray
    began: np.ndarray
    surface: np.ndarray
    mood: np.ndarray

    def __len__(self) -> int:
        return len(self.number)


def sessions(seed: int, day: int, population: Listeners, traits: ListenerTraits) -> Sessions:
    """Return the sessions of a day.

    Args:
        seed: Seed of the world.
        day: The day, counted from 0.
        population: All listeners.
        traits: Their traits.
    """
    rng = generator(seed, Stream.SESSIONS, day)
    user, began, surface = visits(rng, day, population)
    order = np.argsort(began, kind="stable")
    user, began, surface = user[order], began[order], surface[order]
    cumulative = mood_chances(traits.moods[user], hour_of(began)).cumsum(axis=1)
    mood = (cumulative <= (rng.random(len(user)) * cumulative[:, -1])[:, None]).sum(axis=1)
    return Sessions(day * DAY_CODES + np.arange(len(user)), user, began, surface, mood)

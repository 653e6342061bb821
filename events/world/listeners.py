"""The listeners of the world: their profiles, and tastes that change from week to week."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from events import schema
from events.world import names
from events.world.catalogue import Catalogue
from events.world.config import FIRST_DAY, Stream, WorldConfig, generator
from events.world.shelves import Shelves

FAVOURITES = 6  # creators that a listener follows
NEWCOMER_SHARE = 0.1  # share of the listeners who sign up during the log
OLDEST_DAYS = 3 * 365  # the earliest signup, before the first day
WEEKLY_STEP = 0.25  # standard deviation of the weekly change of a genre's logit
SWAP_CHANCE = 0.15  # chance that a favourite creator is replaced in a week
SHIFT_GENRES, SHIFT = 3, 4.0  # a genre drift raises the logits of this many genres by this much


@dataclass(frozen=True)
class Listeners:
    """The listeners, as `[users]` arrays.

    Args:
        country, age_band, plan: Positions in the lists of `names`.
        signup: Day of the signup, counted from the first day of the log; negative before it.
        signup_second: Second of that day (UTC).
        sessions: Expected number of sessions on a weekday.
    """

    country: np.ndarray
    age_band: np.ndarray
    plan: np.ndarray
    signup: np.ndarray
    signup_second: np.ndarray
    sessions: np.ndarray

    def __len__(self) -> int:
        return len(self.country)


@dataclass(frozen=True)
class Tastes:
    """The tastes of all listeners in one week.

    Args:
        genres: Logits of the genres `[users, genres]`.
        content_types: Logits of the content types `[users, content_types]`.
        favourites: Creators that the listener follows `[users, FAVOURITES]`. A creator may occur twice.
    """

    genres: np.ndarray
    content_types: np.ndarray
    favourites: np.ndarray


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the softmax of each row."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def build(config: WorldConfig, seed: int, catalogue: Catalogue, shelves: Shelves) -> tuple[Listeners, Tastes]:
    """Return the listeners and their tastes in the first week."""
    rng = generator(seed, Stream.LISTENERS)
    count = config.users
    newcomer = rng.random(count) < NEWCOMER_SHARE
    activity = rng.lognormal(-0.18, 0.6, count)  # of mean 1
    listeners = Listeners(
        country=rng.choice(len(names.COUNTRIES), count, p=(0.35, 0.15, 0.15, 0.15, 0.12, 0.08)),
        age_band=rng.integers(len(names.AGE_BANDS), size=count),
        plan=rng.choice(len(names.PLANS), count, p=(0.5, 0.35, 0.15)),
        signup=np.where(newcomer, rng.integers(config.horizon, size=count), -rng.integers(1, OLDEST_DAYS, count)),
        signup_second=rng.integers(5 * 3600, size=count),  # before the first session of the day
        sessions=config.sessions * activity,
    )
    audience = -0.1 * np.arange(len(names.GENRES))  # more listeners like the first genres
    by_age = 0.7 * rng.standard_normal((len(names.AGE_BANDS), len(names.GENRES)))
    genres = audience + by_age[listeners.age_band] + 1.4 * rng.standard_normal((count, len(names.GENRES)))
    content_types = np.array([1.5, 0.5, 0.0]) + 0.8 * rng.standard_normal((count, len(names.CONTENT_TYPES)))
    favourites = draw_favourites(rng, genres, content_types, catalogue, shelves)
    return listeners, Tastes(genres, content_types, favourites)


def draw_favourites(
    rng: np.random.Generator, genres: np.ndarray, content_types: np.ndarray, catalogue: Catalogue, shelves: Shelves
) -> np.ndarray:
    """Draw the favourite creators of each listener: the creators of released items that suit the listener's taste.

    Args:
        rng: Random generator.
        genres: Logits of the genres `[users, genres]`.
        content_types: Logits of the content types `[users, content_types]`.
        catalogue: All items.
        shelves: The released items.

    Returns:
        Creators `[users, FAVOURITES]`.
    """
    cumulative_chances = shelves.chances(softmax(genres), softmax(content_types)).cumsum(axis=1)
    user = np.repeat(np.arange(len(genres)), FAVOURITES)
    shelf = shelves.choose(cumulative_chances, user, rng.random(len(user)))
    return catalogue.creator[shelves.draw(shelf, rng.random(len(user)))].reshape(-1, FAVOURITES)


def walk(rng: np.random.Generator, tastes: Tastes, catalogue: Catalogue, shelves: Shelves) -> Tastes:
    """Return the tastes of the next week: the logits take a random step, and some favourites are replaced."""
    genres = tastes.genres + WEEKLY_STEP * rng.standard_normal(tastes.genres.shape)
    content_types = tastes.content_types + 0.5 * WEEKLY_STEP * rng.standard_normal(tastes.content_types.shape)
    swap = rng.random(tastes.favourites.shape) < SWAP_CHANCE
    fresh = draw_favourites(rng, genres, content_types, catalogue, shelves)
    return Tastes(genres, content_types, np.where(swap, fresh, tastes.favourites))


def shift(rng: np.random.Generator, tastes: Tastes, catalogue: Catalogue, shelves: Shelves) -> Tastes:
    """Return the tastes after a genre drift: all listeners turn to a few genres that were unpopular before."""
    unpopular = np.argsort(softmax(tastes.genres).mean(axis=0))[: 2 * SHIFT_GENRES]
    lifted = rng.choice(unpopular, SHIFT_GENRES, replace=False)
    genres = tastes.genres.copy()
    genres[:, lifted] += SHIFT
    favourites = draw_favourites(rng, genres, tastes.content_types, catalogue, shelves)
    return Tastes(genres, tastes.content_types, favourites)


def user_ids(count: int) -> list[str]:
    """Return the user ids `u00001`, `u00002`, …"""
    return [f"u{n:05d}" for n in range(1, count + 1)]


def table(listeners: Listeners) -> pa.Table:
    """Return the listeners as a table of `schema.USERS`."""
    midnight = datetime.combine(FIRST_DAY, datetime.min.time(), UTC)
    signups = zip(listeners.signup.tolist(), listeners.signup_second.tolist(), strict=True)
    columns = {
        "user_id": user_ids(len(listeners)),
        "country": [names.COUNTRIES[i] for i in listeners.country.tolist()],
        "age_band": [names.AGE_BANDS[i] for i in listeners.age_band.tolist()],
        "plan": [names.PLANS[i] for i in listeners.plan.tolist()],
        "signup_ts": [midnight + timedelta(days=day, seconds=second) for day, second in signups],
    }
    return pa.table([pa.array(columns[f.name], f.type) for f in schema.USERS], schema=schema.USERS)

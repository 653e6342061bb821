"""Who listens: what they stated, and tastes that wander from week to week."""

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
NEWCOMERS = 0.1  # share of the listeners who sign up during the span
OLD_DAYS = 3 * 365
WALK = 0.25  # standard deviation of a week's step of a genre's logit
SWAP = 0.15  # chance that a favourite creator is replaced in a week
SHIFT_GENRES, SHIFT = 3, 4.0  # how many genres a genre drift lifts, and by how much


@dataclass(frozen=True)
class Listeners:
    """`[users]` arrays: positions in `names`, signup in days from the first day, sessions a day."""

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
    """What listeners are drawn to at one time.

    Args:
        genres: logits `[users, genres]`.
        kinds: logits `[users, kinds]`.
        favourites: creators `[users, FAVOURITES]`.
    """

    genres: np.ndarray
    kinds: np.ndarray
    favourites: np.ndarray


def softmax(logits: np.ndarray) -> np.ndarray:
    """Rows that sum to 1."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def build(config: WorldConfig, seed: int, catalogue: Catalogue, shelves: Shelves) -> tuple[Listeners, Tastes]:
    """The listeners, and their tastes on the first day."""
    rng = generator(seed, Stream.LISTENERS)
    count = config.users
    late = rng.random(count) < NEWCOMERS
    spread = rng.lognormal(-0.18, 0.6, count)  # of mean 1
    listeners = Listeners(
        country=rng.choice(len(names.COUNTRIES), count, p=(0.35, 0.15, 0.15, 0.15, 0.12, 0.08)),
        age_band=rng.integers(len(names.AGE_BANDS), size=count),
        plan=rng.choice(len(names.PLANS), count, p=(0.5, 0.35, 0.15)),
        signup=np.where(late, rng.integers(config.days, size=count), -rng.integers(1, OLD_DAYS, count)),
        signup_second=rng.integers(5 * 3600, size=count),  # before the first session of the day
        sessions=config.sessions * spread,
    )
    audience = -0.1 * np.arange(len(names.GENRES))  # the first genres are liked by more
    by_age = 0.7 * rng.standard_normal((len(names.AGE_BANDS), len(names.GENRES)))
    genres = audience + by_age[listeners.age_band] + 1.4 * rng.standard_normal((count, len(names.GENRES)))
    kinds = np.array([1.5, 0.5, 0.0]) + 0.8 * rng.standard_normal((count, len(names.KINDS)))
    favourites = draw_favourites(rng, genres, kinds, catalogue, shelves)
    return listeners, Tastes(genres, kinds, favourites)


def draw_favourites(
    rng: np.random.Generator, genres: np.ndarray, kinds: np.ndarray, catalogue: Catalogue, shelves: Shelves
) -> np.ndarray:
    """Creators `[users, FAVOURITES]` of items that the taste leads to; each has an item that is out."""
    chances = shelves.chances(softmax(genres), softmax(kinds)).cumsum(axis=1)
    user = np.repeat(np.arange(len(genres)), FAVOURITES)
    shelf = shelves.choose(chances, user, rng.random(len(user)))
    return catalogue.creator[shelves.draw(shelf, rng.random(len(user)))].reshape(-1, FAVOURITES)


def walk(rng: np.random.Generator, tastes: Tastes, catalogue: Catalogue, shelves: Shelves) -> Tastes:
    """Tastes a week later: a random walk, and now and then a new favourite."""
    genres = tastes.genres + WALK * rng.standard_normal(tastes.genres.shape)
    kinds = tastes.kinds + 0.5 * WALK * rng.standard_normal(tastes.kinds.shape)
    swap = rng.random(tastes.favourites.shape) < SWAP
    fresh = draw_favourites(rng, genres, kinds, catalogue, shelves)
    return Tastes(genres, kinds, np.where(swap, fresh, tastes.favourites))


def shift(rng: np.random.Generator, tastes: Tastes, catalogue: Catalogue, shelves: Shelves) -> Tastes:
    """Tastes after a genre drift: everybody turns to a few genres that were not the favoured ones."""
    rare = np.argsort(softmax(tastes.genres).mean(axis=0))[: 2 * SHIFT_GENRES]
    lifted = rng.choice(rare, SHIFT_GENRES, replace=False)
    genres = tastes.genres.copy()
    genres[:, lifted] += SHIFT
    return Tastes(genres, tastes.kinds, draw_favourites(rng, genres, tastes.kinds, catalogue, shelves))


def user_ids(count: int) -> list[str]:
    """`u00001`, `u00002`, …"""
    return [f"u{n:05d}" for n in range(1, count + 1)]


def table(listeners: Listeners) -> pa.Table:
    """The listeners as `schema.USERS`."""
    midnight = datetime.combine(FIRST_DAY, datetime.min.time(), UTC)
    when = zip(listeners.signup.tolist(), listeners.signup_second.tolist(), strict=True)
    columns = {
        "user_id": user_ids(len(listeners)),
        "country": [names.COUNTRIES[i] for i in listeners.country.tolist()],
        "age_band": [names.AGE_BANDS[i] for i in listeners.age_band.tolist()],
        "plan": [names.PLANS[i] for i in listeners.plan.tolist()],
        "signup_ts": [midnight + timedelta(days=day, seconds=second) for day, second in when],
    }
    return pa.table([pa.array(columns[f.name], f.type) for f in schema.USERS], schema=schema.USERS)

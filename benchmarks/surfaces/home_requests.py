"""Synthetic requests for a Home page: numpy only, no models, so that hundreds of pages take seconds."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from surfaces.home.calibration import content_mix
from surfaces.home.context import HomeContext
from surfaces.home.page import Shelf
from surfaces.home.pool import Pool
from surfaces.request import Exploration

AT = datetime(2027, 1, 15, 18, tzinfo=UTC)
TYPES = np.array(["audiobook", "music", "podcast"])
USUAL = np.array([0.1, 0.65, 0.25])  # all listeners' shares of the types
GENRES, CREATORS, ITEMS = 24, 120, 400
SIZES = {
    "because_you_listened:a": 40, "because_you_listened:b": 40, "for_you": 200, "jump_back_in": 30,
    "new_releases": 50, "next_up": 100, "popular": 50,
}  # fmt: skip


@dataclass(frozen=True)
class HomeRequest:
    """One request with its candidates."""

    context: HomeContext
    pool: Pool
    shelves: list[Shelf]


def home_request(seed: int, budget: float = 0.1) -> HomeRequest:
    """A request whose candidates suit the listener's usual mix, at an hour that has a mix of its own.

    A good item is often like another: the reward rises with the listener's taste for the item's genres. Each shelf
    holds the items that a source found, the better ones more often.

    Args:
        seed: of everything.
        budget: of exploration.
    """
    rng = np.random.default_rng(seed)
    own = rng.dirichlet(6 * USUAL)
    at_hour = USUAL * np.exp(rng.normal(0, 0.5, len(TYPES)))
    plays, plays_at_hour, overall = (
        dict(zip(TYPES.tolist(), (200 * shares).tolist(), strict=True)) for shares in (own, at_hour, USUAL)
    )
    mix = content_mix(plays, plays_at_hour, overall)
    vectors = (rng.random((ITEMS, GENRES)) < 2 / GENRES).astype(float)
    taste = rng.normal(size=GENRES)
    reward = 0.6 + 0.06 * vectors @ taste + rng.normal(0, 0.1, ITEMS)
    pool = Pool(
        item_ids=np.array([f"i{number:03}" for number in range(ITEMS)]),
        reward=reward,
        uncertainty=1 / np.sqrt(1 + rng.exponential(40, ITEMS)),
        creator_id=np.array([f"c{number}" for number in rng.integers(CREATORS, size=ITEMS)]),
        content_type=TYPES[rng.choice(len(TYPES), ITEMS, p=own)],
        genres=[()] * ITEMS,
        vectors=vectors,
        age_days=rng.exponential(300, ITEMS),
        sources=[("retrieval",)] * ITEMS,
        scores={},
    )
    shelves = [Shelf(kind, kind, "", np.argsort(-reward + rng.gumbel(0, 0.2, ITEMS))[:n]) for kind, n in SIZES.items()]
    context = HomeContext("u1", AT, 18, mix, plays=200, exploration=Exploration(budget))
    return HomeRequest(context, pool, shelves)

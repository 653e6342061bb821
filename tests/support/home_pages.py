"""Pools, contexts and logged pages of Home for tests."""

from datetime import UTC, datetime

import numpy as np

from surfaces.home.context import HomeContext
from surfaces.home.layout import LayoutPolicy
from surfaces.home.learning import LoggedPage
from surfaces.home.page import Shelf
from surfaces.home.pool import Pool
from surfaces.request import NO_EXPLORATION, Exploration

SATURDAY = datetime(2027, 1, 16, 8, tzinfo=UTC)
KINDS = ("for_you", "jump_back_in", "new_releases", "popular")


def pool_of(reward, **columns) -> Pool:
    """A pool of items `i0`, `i1`, … of different creators, all music and unlike each other, unless columns differ."""
    count = len(reward)
    defaults = {
        "item_ids": np.array([f"i{number}" for number in range(count)]),
        "uncertainty": np.zeros(count),
        "creator_id": np.array([f"c{number}" for number in range(count)]),
        "content_type": np.array(["music"] * count),
        "genres": [()] * count,
        "vectors": np.eye(count),
        "age_days": np.full(count, 100.0),
        "sources": [("retrieval",)] * count,
        "scores": {},
    }
    return Pool(reward=np.asarray(reward, float), **(defaults | columns))


def context_of(mix=None, budget: float = 0.0, bonus: float = 0.3, **more) -> HomeContext:
    """A context at eight on a Saturday morning."""
    exploration = Exploration(budget, bonus) if budget else NO_EXPLORATION
    return HomeContext("u1", SATURDAY, 8, mix or {"music": 1.0}, exploration=exploration, **more)


def random_pool(seed: int, count: int = 120) -> Pool:
    """Items of a few creators and three content types with random rewards."""
    rng = np.random.default_rng(seed)
    return pool_of(
        rng.normal(size=count),
        item_ids=np.array([f"i{number:03}" for number in rng.permutation(count)]),
        uncertainty=rng.random(count),
        creator_id=np.array([f"c{number}" for number in rng.integers(count // 4, size=count)]),
        content_type=np.array(["music", "podcast", "audiobook"])[rng.choice(3, count, p=[0.7, 0.2, 0.1])],
        vectors=(rng.random((count, 8)) < 0.3).astype(float),
    )


def random_shelves(seed: int, count: int = 120, kinds=KINDS, size: int = 60) -> list[Shelf]:
    """Shelves whose items overlap."""
    rng = np.random.default_rng(seed)
    return [Shelf(kind, kind, "a reason", rng.choice(count, size, replace=False)) for kind in kinds]


def logged(policy: LayoutPolicy, worth, listeners: int, pages: int, seed: int, kinds=KINDS) -> list[LoggedPage]:
    """Pages that a policy drew, for listeners who differ in how much they play.

    Args:
        policy: draws the layouts of 2 to 3 rows.
        worth: mean reward of each kind of shelf in the first row; the second row brings 0.6 and the third 0.4 of it.
        listeners: their number.
        pages: of each listener.
        seed: of layouts and rewards.
        kinds: of the shelves, sorted.
    """
    rng = np.random.default_rng(seed)
    log = []
    for listener in range(listeners):
        liveliness = rng.gamma(4.0, 0.25)
        for _ in range(pages):
            record = policy.draw(kinds, np.zeros((len(kinds), 3)), context_of().features, 2, 3, rng)
            means = np.array(worth)[list(record.drawn)] * np.array([1.0, 0.6, 0.4])[: len(record.drawn)]
            log.append(LoggedPage(record, rng.poisson(liveliness * means).astype(float), f"u{listener}"))
    return log

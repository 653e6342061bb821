"""A/A tests on the synthetic world: the skip rate in one log, whose listeners are split anew by the salt of each test.

The world draws each listener's effect on the logit of a play with a deviation of 0.7 (`events.world.live.traits`), so
started items of one listener depend on each other. No arm changes anything: what a test finds is an error.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.experiments.errors import DAYS
from benchmarks.experiments.listeners import Trial
from events.importers.synthetic import SIZES, generate
from events.schema import PLAY, SKIP
from experiments.assignment.buckets import BUCKETS, bucket

DAY_US = 86_400_000_000
USERS, ITEMS = 2000, 1000


@dataclass(frozen=True)
class Listeners:
    """The listeners of a log who started an item in its second half.

    Attributes:
        names: Their ids.
        started, skipped: Items started, and those of them skipped, by listener and day, `[n, 2 * DAYS]`; the test is
            the second half.
    """

    names: list[str]
    started: np.ndarray
    skipped: np.ndarray

    def trial(self, salt: str) -> Trial:
        """The test of a salt: half of the buckets are treated. Skips of started items are its plays of shown ones."""
        before, test = slice(None, DAYS), slice(DAYS, None)
        return Trial(
            np.array([bucket(salt, name) < BUCKETS // 2 for name in self.names]),
            self.started[:, test].cumsum(axis=1),
            self.skipped[:, test].cumsum(axis=1),
            self.started[:, before].sum(axis=1),
            self.skipped[:, before].sum(axis=1),
        )


def listeners(seed: int, users: int = USERS) -> Listeners:
    """Return the listeners of a world's log of four weeks.

    Args:
        seed: Seed of the world.
        users: Number of listeners of the world; some of them never start an item.
    """
    world = replace(SIZES["small"], users=users, items=ITEMS, days=2 * DAYS, version=2)
    events = generate(world, seed).events
    events = events.filter(pc.is_in(events["action"], pa.array([PLAY, SKIP])))
    names, user = np.unique(events["user_id"].to_numpy(), return_inverse=True)
    day = events["ts"].cast("timestamp[us]").cast("int64").to_numpy() // DAY_US
    cell = user * 2 * DAYS + day - day.min()
    skips = events["action"].to_numpy() == SKIP
    started, skipped = (
        np.bincount(cells, minlength=len(names) * 2 * DAYS).reshape(len(names), 2 * DAYS).astype(float)
        for cells in (cell, cell[skips])
    )
    seen = started[:, DAYS:].any(axis=1)
    return Listeners(names[seen].tolist(), started[seen], skipped[seen])


def trials(tests: int, seed: int) -> Iterator[Trial]:
    """Yield A/A tests on one log of the world."""
    everyone = listeners(seed)
    return (everyone.trial(f"aa-{seed}-{test}") for test in range(tests))

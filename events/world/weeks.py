"""The weeks of a world: tastes walk, new items are released, and a planted drift begins."""

from collections.abc import Iterator

from events.world import listeners
from events.world.config import WEEK, Stream, WorldConfig, generator
from events.world.policy import Policy
from events.world.shelves import stock


def policies(config: WorldConfig, seed: int, policy: Policy) -> Iterator[Policy]:
    """Yield the logging policy of each day of the world. It holds the tastes and the released items of the day.

    At the start of each week, tastes change a little and new items are released.

    Args:
        config: Size and drift of the world.
        seed: Seed of the world.
        policy: Logging policy of the first day.
    """
    items = policy.shelves.catalogue
    for day in range(config.horizon):
        monday = day > 0 and day % WEEK == 0
        drift_begins = config.drift in ("genre", "catalogue") and day == config.drift_day
        if monday or drift_begins:
            shelves, tastes = stock(items, day), policy.tastes
            if monday:
                tastes = listeners.walk(generator(seed, Stream.WEEK, day), tastes, items, shelves)
            if drift_begins and config.drift == "genre":
                tastes = listeners.shift(generator(seed, Stream.DRIFT), tastes, items, shelves)
            policy = Policy.of(shelves, tastes)
        yield policy

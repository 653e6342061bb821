"""A world of version 2: given its configuration and seed, its catalogue, listeners and days."""

from dataclasses import dataclass, replace
from functools import cached_property

import pyarrow as pa

from events.world import catalogue, listeners
from events.world.config import WorldConfig
from events.world.live import sessions, titles
from events.world.live.outcomes import Today
from events.world.live.traits import ItemTraits, ListenerTraits, item_traits, listener_traits
from events.world.policy import Policy
from events.world.shelves import stock
from events.world.weeks import policies
from segue.errors import InputError


@dataclass(frozen=True)
class World:
    """The world, with all items and listeners that ever appear in it.

    Args:
        config: Its configuration, of version 2.
        seed: Seed of all random draws.
        creators, items: The catalogue.
        population: The listeners.
        opening: Logging policy of the first day, which holds the tastes of the first week.
        listener_traits, item_traits: What version 2 adds.
    """

    config: WorldConfig
    seed: int
    creators: catalogue.Creators
    items: catalogue.Catalogue
    population: listeners.Listeners
    opening: Policy
    listener_traits: ListenerTraits
    item_traits: ItemTraits

    @classmethod
    def build(cls, config: WorldConfig, seed: int) -> "World":
        """Build a world.

        Raises:
            InputError: The configuration is of another version.
        """
        if config.version != 2:
            raise InputError(
                f"Listeners respond in worlds of version 2. Received version {config.version}.",
                "Generate the world with `segue data import synthetic --world 2`.",
            )
        creators, items = catalogue.build(config, seed)
        shelves = stock(items, 0)
        population, tastes = listeners.build(config, seed, items, shelves)
        traits = listener_traits(seed, tastes, len(creators.name))
        opening = Policy.of(shelves, tastes)
        return cls(config, seed, creators, items, population, opening, traits, item_traits(seed, items))

    @cached_property
    def policies(self) -> list[Policy]:
        """The logging policy of each day and of the day after the last one: the tastes and the released items."""
        longer = replace(self.config, future_days=self.config.future_days + 1)
        return list(policies(longer, self.seed, self.opening))

    def day(self, day: int) -> Today:
        """Return the world on a day, counted from 0.

        The day after the last one can be asked for, too: models that were made of all days are compared on it.

        Raises:
            InputError: The world has no such day.
        """
        if not 0 <= day <= self.config.horizon:
            raise InputError(
                f"The days of this world are 0 .. {self.config.horizon}. Received {day}.",
                "Choose one of these days, or import a larger world.",
            )
        return Today(self.config, day, self.policies[day], self.listener_traits, self.item_traits)

    def sessions(self, day: int) -> sessions.Sessions:
        """Return the sessions that begin on a day, counted from 0."""
        return sessions.sessions(self.seed, day, self.population, self.listener_traits)

    @cached_property
    def user_ids(self) -> list[str]:
        """The ids of the listeners."""
        return listeners.user_ids(len(self.population))

    @cached_property
    def item_ids(self) -> list[str]:
        """The ids of the items."""
        return catalogue.item_ids(len(self.items))

    @cached_property
    def item_index(self) -> dict[str, int]:
        """The number of the item of each id."""
        return {item_id: number for number, item_id in enumerate(self.item_ids)}

    def items_table(self, first: int, last: int) -> pa.Table:
        """Return the items released from day `first` to day `last`, both included, with the column `explicit`."""
        table = titles.table(self.seed, self.creators, self.items, self.item_traits)
        return table.filter(pa.array((self.items.release >= first) & (self.items.release <= last)))

    def users_table(self, first: int, last: int) -> pa.Table:
        """Return the listeners who signed up from day `first` to day `last`, both included."""
        signup = self.population.signup
        disliked = [
            [f"c{creator + 1:05d}" for creator in row if creator >= 0] for row in self.listener_traits.disliked.tolist()
        ]
        table = listeners.table(self.population).append_column(
            "disliked_creators", pa.array(disliked, pa.list_(pa.string()))
        )
        return table.filter(pa.array((signup >= first) & (signup <= last)))

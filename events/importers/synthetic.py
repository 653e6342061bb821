"""Generate a data set from a seeded synthetic world: a catalogue, listeners, and a log of impressions and interactions.

The same configuration and seed give the same tables, byte for byte. Every day draws from its own random stream, so a
world with a planted drift has the same events as the world without it until the drift day.
"""

from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events import schema
from events.imported import Imported
from events.world import catalogue, listeners
from events.world.config import DRIFTS, FIRST_DAY, FUTURE_DAYS, Stream, WorldConfig, generator
from events.world.day import DAY, LIBRARY_SLOTS, Rows, queries, simulate
from events.world.live.log import logged
from events.world.live.world import World
from events.world.policy import NAME, Policy
from events.world.shelves import stock
from events.world.weeks import policies
from segue.errors import InputError

__all__ = ["DRIFTS", "SIZES", "WorldConfig", "generate", "sized"]

SIZES = {
    "nano": WorldConfig("nano", users=60, items=150, days=28, sessions=0.18),
    "demo": WorldConfig("demo", users=600, items=1_500, days=60, sessions=0.145),
    "small": WorldConfig("small", users=2_200, items=5_200, days=60, sessions=0.145),
    "large": WorldConfig("large", users=20_000, items=40_000, days=60, sessions=0.15),
}
EPOCH_US = int(np.datetime64(FIRST_DAY, "us").astype(np.int64))


def sized(
    name: str,
    drift: str | None = None,
    drift_day: int | None = None,
    version: int = 1,
    future_days: int = FUTURE_DAYS,
) -> WorldConfig:
    """Return the configuration of a world.

    Args:
        name: One of `SIZES`.
        drift: One of `DRIFTS`, or None for a world without drift.
        drift_day: First day of the drift, counted from 0.
        version: Version of the world, 1 or 2.
        future_days: Days that a world of version 2 goes on after its log.

    Raises:
        InputError: The size is unknown, or a value is one that `WorldConfig` refuses.
    """
    if name not in SIZES:
        raise InputError(f"Size is one of {', '.join(SIZES)}. Received {name!r}.", "Choose one of these sizes.")
    return replace(SIZES[name], drift=drift, drift_day=drift_day, version=version, future_days=future_days)


def generate(config: WorldConfig, seed: int) -> Imported:
    """Build a world, simulate its days and return the data set.

    Args:
        config: Size and drift of the world.
        seed: Seed of all random draws, 0 or more.

    Returns:
        The data set `synthetic-<name>`. Events are sorted by time and numbered in that order.
    """
    if config.version > 1:
        return generate_live(config, seed)
    creators, items = catalogue.build(config, seed)
    shelves = stock(items, 0)
    population, tastes = listeners.build(config, seed, items, shelves)
    rows = pass_days(config, seed, Policy.of(shelves, tastes), population)
    # A session may run past the last midnight. Its events after midnight would be on a day outside the log.
    order = np.argsort(rows.ts, kind="stable")
    order = order[: np.searchsorted(rows.ts[order], config.days * DAY)]
    return Imported(
        dataset=f"synthetic-{config.name}",
        items=catalogue.table(creators, items),
        users=listeners.table(population),
        events=table(rows.take(order), len(items), config.users, queries(creators.name)),
        mapping=(f"generated: {described(config, seed)}",),
    )


def generate_live(config: WorldConfig, seed: int) -> Imported:
    """Build a world of version 2, draw its log and return the data set.

    It holds the items and listeners that exist by the end of the log, the columns `explicit` of the items,
    `disliked_creators` of the listeners, and `row` and `column` of the events. The manifest's `world` is what
    `segue simulate` builds the world from.
    """
    world = World.build(config, seed)
    rows, texts, places = logged(world)
    events = table(rows, len(world.items), config.users, texts)
    for name, values in zip(("row", "column"), places.T, strict=True):
        events = events.append_column(name, pa.array(values, pa.int32()))
    return Imported(
        dataset=f"synthetic-{config.name}",
        items=world.items_table(int(world.items.release.min()), config.days - 1),
        users=world.users_table(int(world.population.signup.min()), config.days - 1),
        events=events,
        mapping=(f"generated: world {config.version}, {described(config, seed)}",),
        world={**asdict(config), "seed": seed},
    )


def described(config: WorldConfig, seed: int) -> str:
    """Return a sentence with the size, the seed, the first day and the drift of a world."""
    drift = f", drift {config.drift} from day {config.drift_day}" if config.drift else ""
    return f"size {config.name}, seed {seed}, first day {FIRST_DAY.isoformat()}{drift}"


def pass_days(config: WorldConfig, seed: int, policy: Policy, population: listeners.Listeners) -> Rows:
    """Simulate all days and return their events, unsorted.

    Args:
        config: Size and drift of the world.
        seed: Seed of the world.
        policy: Logging policy of the first day.
        population: The listeners.
    """
    library = np.full((config.users, LIBRARY_SLOTS), -1)
    return Rows.concat([
        simulate(config, generator(seed, Stream.DAY, day), day, population, today, library)
        for day, today in enumerate(policies(config, seed, policy))
    ])  # fmt: skip


def table(rows: Rows, items: int, users: int, texts: list[str]) -> pa.Table:
    """Return the events as a table of `schema.EVENTS`.

    Args:
        rows: The events, sorted by time.
        items: Number of items in the world.
        users: Number of listeners in the world.
        texts: Texts of the queries.
    """
    count = len(rows.ts)
    columns = {
        "event_id": numbered_ids("e", np.arange(1, count + 1), 7),
        "user_id": decode(rows.user, listeners.user_ids(users)),
        "item_id": decode(rows.item, catalogue.item_ids(items)),
        "ts": pa.array(rows.ts + EPOCH_US).cast(schema.TIMESTAMP),
        "session_id": numbered_ids("s", rows.session, 8),
        "surface": decode(rows.surface, list(schema.SURFACES)),
        "position": pa.array(rows.position, pa.int32()),
        "action": decode(rows.action, list(schema.ACTIONS)),
        "ms_played": pa.array(rows.ms_played, pa.int64(), mask=rows.ms_played < 0),
        "query": decode(rows.query, texts),
        "request_id": numbered_ids("r", rows.request, 8),
        "policy": decode(np.where(np.isnan(rows.propensity), -1, 0), [NAME]),
        "propensity": pa.array(rows.propensity, mask=np.isnan(rows.propensity)),
    }
    return pa.table([columns[f.name] for f in schema.EVENTS], schema=schema.EVENTS)


def decode(codes: np.ndarray, words: list[str]) -> pa.Array:
    """Return the word of each code; -1 becomes null."""
    indices = pa.array(codes, pa.int32(), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(words)).cast(pa.string())


def numbered_ids(prefix: str, numbers: np.ndarray, width: int) -> pa.Array:
    """Return ids such as `e0000001`: the prefix and the number, padded with zeros to `width` digits."""
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width, "0")
    return pc.binary_join_element_wise(prefix, digits, "")

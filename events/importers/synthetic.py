"""Generate a data set from a seeded synthetic world: a catalogue, listeners, and a log of impressions and interactions.

The same configuration and seed give the same tables, byte for byte. Every day draws from its own random stream, so a
world with a planted drift has the same events as the world without it until the drift day.
"""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events import schema
from events.imported import Imported
from events.world import catalogue, listeners
from events.world.config import DRIFTS, FIRST_DAY, WEEK, Stream, WorldConfig, generator
from events.world.day import DAY, LIBRARY_SLOTS, Rows, queries, simulate
from events.world.policy import NAME, Policy
from events.world.shelves import stock
from segue.errors import InputError

__all__ = ["DRIFTS", "SIZES", "WorldConfig", "generate", "sized"]

SIZES = {
    "nano": WorldConfig("nano", users=60, items=150, days=28, sessions=0.18),
    "demo": WorldConfig("demo", users=600, items=1_500, days=60, sessions=0.145),
    "small": WorldConfig("small", users=2_200, items=5_200, days=60, sessions=0.145),
    "large": WorldConfig("large", users=20_000, items=40_000, days=60, sessions=0.15),
}
EPOCH_US = int(np.datetime64(FIRST_DAY, "us").astype(np.int64))


def sized(name: str, drift: str | None = None, drift_day: int | None = None) -> WorldConfig:
    """Return the configuration of a world.

    Args:
        name: One of `SIZES`.
        drift: One of `DRIFTS`, or None for a world without drift.
        drift_day: First day of the drift, counted from 0.

    Raises:
        InputError: The size or the drift is unknown, or the drift day is outside the log.
    """
    if name not in SIZES:
        raise InputError(f"Size is one of {', '.join(SIZES)}. Received {name!r}.", "Choose one of these sizes.")
    return replace(SIZES[name], drift=drift, drift_day=drift_day)


def generate(config: WorldConfig, seed: int) -> Imported:
    """Build a world, simulate its days and return the data set.

    Args:
        config: Size and drift of the world.
        seed: Seed of all random draws, 0 or more.

    Returns:
        The data set `synthetic-<name>`. Events are sorted by time and numbered in that order.
    """
    creators, items = catalogue.build(config, seed)
    shelves = stock(items, 0)
    population, tastes = listeners.build(config, seed, items, shelves)
    rows = pass_days(config, seed, Policy.of(shelves, tastes), population)
    # A session may run past the last midnight. Its events after midnight would be on a day outside the log.
    order = np.argsort(rows.ts, kind="stable")
    order = order[: np.searchsorted(rows.ts[order], config.days * DAY)]
    drift = f", drift {config.drift} from day {config.drift_day}" if config.drift else ""
    return Imported(
        dataset=f"synthetic-{config.name}",
        items=catalogue.table(creators, items),
        users=listeners.table(population),
        events=table(rows.take(order), len(items), config.users, creators.name),
        mapping=(f"generated: size {config.name}, seed {seed}, first day {FIRST_DAY.isoformat()}{drift}",),
    )


def pass_days(config: WorldConfig, seed: int, policy: Policy, population: listeners.Listeners) -> Rows:
    """Simulate all days. At the start of each week, tastes change a little and new items are released.

    Args:
        config: Size and drift of the world.
        seed: Seed of the world.
        policy: Logging policy of the first day.
        population: The listeners.

    Returns:
        The events of all days, unsorted.
    """
    items = policy.shelves.catalogue
    library = np.full((config.users, LIBRARY_SLOTS), -1)
    days = []
    for day in range(config.days):
        monday = day > 0 and day % WEEK == 0
        drift_begins = config.drift in ("genre", "catalogue") and day == config.drift_day
        if monday or drift_begins:
            shelves, tastes = stock(items, day), policy.tastes
            if monday:
                tastes = listeners.walk(generator(seed, Stream.WEEK, day), tastes, items, shelves)
            if drift_begins and config.drift == "genre":
                tastes = listeners.shift(generator(seed, Stream.DRIFT), tastes, items, shelves)
            policy = Policy.of(shelves, tastes)
        days.append(simulate(config, generator(seed, Stream.DAY, day), day, population, policy, library))
    return Rows.concat(days)


def table(rows: Rows, items: int, users: int, creators: list[str]) -> pa.Table:
    """Return the events as a table of `schema.EVENTS`.

    Args:
        rows: The events, sorted by time.
        items: Number of items in the world.
        users: Number of listeners in the world.
        creators: Names of the creators.
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
        "query": decode(rows.query, queries(creators)),
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

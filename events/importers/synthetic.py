"""A seeded world of listeners: a catalogue, tastes that wander, and a log of what was shown and done.

The same configuration and seed give the same tables, byte for byte. Up to its drift day a world
with a planted drift has the events of the world without: every day draws from its own stream.
"""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events import schema
from events.imported import Imported
from events.world import catalogue as catalogues
from events.world import listeners as people
from events.world.config import DRIFTS, FIRST_DAY, WEEK, Stream, WorldConfig, generator
from events.world.day import DAY, LIBRARY_SLOTS, Rows, queries, simulate
from events.world.policy import NAME, Policy
from events.world.shelves import stock
from segue.errors import InputError

__all__ = ["DRIFTS", "SIZES", "WorldConfig", "generate", "sized"]

SIZES = {
    "nano": WorldConfig("nano", users=60, items=150, days=28, sessions=0.18),
    "small": WorldConfig("small", users=2_200, items=5_200, days=60, sessions=0.145),
    "large": WorldConfig("large", users=20_000, items=40_000, days=60, sessions=0.15),
}
EPOCH_US = int(np.datetime64(FIRST_DAY, "us").astype(np.int64))


def sized(name: str, drift: str | None = None, drift_day: int | None = None) -> WorldConfig:
    """The world of that size, with a planted drift if one is named.

    Raises:
        InputError: an unknown size or drift, or a drift day outside the log.
    """
    if name not in SIZES:
        raise InputError(f"Size is one of {', '.join(SIZES)}. Received {name!r}.", "Choose one.")
    return replace(SIZES[name], drift=drift, drift_day=drift_day)


def generate(config: WorldConfig, seed: int) -> Imported:
    """Build the world and let its days pass.

    Args:
        config: size and drift.
        seed: 0 or more.

    Returns:
        The data set `synthetic-<name>`; events sorted by time, `event_id` in that order.
    """
    creators, catalogue = catalogues.build(config, seed)
    shelves = stock(catalogue, 0)
    listeners, tastes = people.build(config, seed, catalogue, shelves)
    rows = pass_days(config, seed, Policy.of(shelves, tastes), listeners)
    # The log is cut at its last midnight, as logs are.
    order = np.argsort(rows.ts, kind="stable")
    order = order[: np.searchsorted(rows.ts[order], config.days * DAY)]
    drift = f", drift {config.drift} from day {config.drift_day}" if config.drift else ""
    return Imported(
        dataset=f"synthetic-{config.name}",
        items=catalogues.table(creators, catalogue),
        users=people.table(listeners),
        events=table(rows.take(order), len(catalogue), config.users, creators.name),
        mapping=(f"generated: size {config.name}, seed {seed}, first day {FIRST_DAY.isoformat()}{drift}",),
    )


def pass_days(config: WorldConfig, seed: int, policy: Policy, listeners: people.Listeners) -> Rows:
    """Simulate day after day; tastes walk and new items come out at the turn of each week.

    Args:
        config: size and drift.
        seed: of the world.
        policy: that of the first day.
        listeners: who listens.
    """
    catalogue = policy.shelves.catalogue
    library = np.full((config.users, LIBRARY_SLOTS), -1)
    days = []
    for day in range(config.days):
        monday = day > 0 and day % WEEK == 0
        jolt = config.drift in ("genre", "catalogue") and day == config.drift_day
        if monday or jolt:
            shelves, tastes = stock(catalogue, day), policy.tastes
            if monday:
                tastes = people.walk(generator(seed, Stream.WEEK, day), tastes, catalogue, shelves)
            if jolt and config.drift == "genre":
                tastes = people.shift(generator(seed, Stream.DRIFT), tastes, catalogue, shelves)
            policy = Policy.of(shelves, tastes)
        days.append(simulate(config, generator(seed, Stream.DAY, day), day, listeners, policy, library))
    return Rows.concat(days)


def table(rows: Rows, items: int, users: int, creators: list[str]) -> pa.Table:
    """Sorted rows as `schema.EVENTS`."""
    count = len(rows.ts)
    columns = {
        "event_id": numbered("e", np.arange(1, count + 1), 7),
        "user_id": spelled(rows.user, people.user_ids(users)),
        "item_id": spelled(rows.item, catalogues.item_ids(items)),
        "ts": pa.array(rows.ts + EPOCH_US).cast(schema.TIMESTAMP),
        "session_id": numbered("s", rows.session, 8),
        "surface": spelled(rows.surface, list(schema.SURFACES)),
        "position": pa.array(rows.position, pa.int32()),
        "action": spelled(rows.action, list(schema.ACTIONS)),
        "ms_played": pa.array(rows.ms_played, pa.int64(), mask=rows.ms_played < 0),
        "query": spelled(rows.query, queries(creators)),
        "request_id": numbered("r", rows.request, 8),
        "policy": spelled(np.where(np.isnan(rows.propensity), -1, 0), [NAME]),
        "propensity": pa.array(rows.propensity, mask=np.isnan(rows.propensity)),
    }
    return pa.table([columns[f.name] for f in schema.EVENTS], schema=schema.EVENTS)


def spelled(codes: np.ndarray, words: list[str]) -> pa.Array:
    """The word of each code; null for -1."""
    indices = pa.array(codes, pa.int32(), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(words)).cast(pa.string())


def numbered(prefix: str, numbers: np.ndarray, width: int) -> pa.Array:
    """Ids such as `e0000001`."""
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width, "0")
    return pc.binary_join_element_wise(prefix, digits, "")

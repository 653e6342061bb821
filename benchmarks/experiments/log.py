"""A log of simulated listeners in an experiment: exposures as the gateway logs them, with a planted effect.

Listeners differ: their chance to play has a logit that is normal with deviation 0.7, and they come on different numbers
of days. So rows of one listener depend on each other, as they do for people.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from events.schema import EVENTS, ITEMS, USERS
from experiments.assignment.assign import Running, assign

LISTENER_SD = 0.7  # of the logit of a play
PLAY, SKIP = -1.5, 0.25  # logit of a play; share of the impressions without a play that are started and skipped
PAGE = 10  # impressions of a request
CREATORS, ITEM_COUNT = 200, 1000
STARTED = datetime(2026, 3, 2, tzinfo=UTC)
EXPOSURE = pa.struct([pa.field("arms", pa.string()), pa.field("fallback", pa.int32())])
SCHEMA = EVENTS.append(pa.field("exposure", EXPOSURE))


@dataclass(frozen=True)
class Planted:
    """What a log has in it.

    Args:
        lift: Added to the logit of a play in the treatment.
        skips: Factor of the treatment's share of skips.
        lost: Share of the treatment's listeners whose exposures are lost.
        rows_lost: Share of the treatment's pages whose exposures are lost.
    """

    lift: float = 0.0
    skips: float = 1.0
    lost: float = 0.0
    rows_lost: float = 0.0


def write_log(
    folder: Path, running: Running, listeners: int, days: int, planted: Planted, seed: int, visits: float = 0.5
) -> int:
    """Write a log around the start of an experiment into a folder, and return its number of exposed impressions.

    Args:
        folder: Gets `events/day=…/part-0.parquet`, `items.parquet`, `users.parquet`.
        running: The experiment; it starts at `STARTED`.
        listeners: Number of listeners.
        days: Days before and after the start.
        planted: The planted effect.
        seed: Seed of the log.
        visits: Mean requests of a listener on a day.
    """
    rng = np.random.default_rng(seed)
    names = np.array([f"u{number:07}" for number in range(listeners)])
    treatment, experiment = running.definition.arms[1].name, running.definition.name
    arms = []
    for name in names:
        given = assign([running], name, {}, STARTED)
        arms.append(given[0].arm if given else None)
    arm = np.array(arms, dtype=object)
    texts = np.array([f'{{"{experiment}": "{name}"}}' for name in arms], dtype=object)
    taste = rng.normal(0, LISTENER_SD, listeners)
    activity = rng.gamma(2.0, visits / 2, listeners)
    lost = (arm == treatment) & (rng.random(listeners) < planted.lost)
    pq.write_table(catalogue(rng), folder / "items.parquet")
    countries = pa.array(np.array(["SE", "NO", "US"])[rng.integers(3, size=listeners)])
    users = {"user_id": pa.array(names), "country": countries}
    pq.write_table(pa.table({**nulls(USERS, listeners), **users}, USERS), folder / "users.parquet")
    exposed = 0
    for day in range(-days, days):
        requests = np.repeat(np.arange(listeners), rng.poisson(activity))
        user = np.repeat(requests, PAGE)
        treated = (arm[user] == treatment) & (day >= 0)
        chance = 1 / (1 + np.exp(-(PLAY + taste[user] + planted.lift * treated)))
        draw = rng.random(len(user))
        played = draw < chance
        skipped = ~played & (draw < chance + (1 - chance) * SKIP * np.where(treated, planted.skips, 1.0))
        rows = np.concatenate([np.arange(len(user)), np.flatnonzero(played | skipped)])
        action = np.full(len(rows), "impression", dtype=object)
        action[len(user) :] = np.where(played[played | skipped], "play", "skip")
        gone = lost[requests] | ((arm[requests] == treatment) & (rng.random(len(requests)) < planted.rows_lost))
        missing = np.repeat(gone, PAGE)[rows] & (day >= 0)
        logged = ((day >= 0) & ~missing) & (arm != None)[user[rows]]  # noqa: E711
        shown = np.where(logged, texts[user[rows]], "{}")
        kept = ~(missing & (action == "impression"))  # a lost exposure is no impression
        start = np.datetime64((STARTED + timedelta(days=day)).replace(tzinfo=None), "us")
        seconds = np.repeat(rng.integers(0, 86_000, len(requests)), PAGE)[rows] + (action != "impression")
        table = pa.table(
            {
                **nulls(SCHEMA, int(kept.sum())),
                "event_id": pa.array([f"{day}-{number}" for number in range(int(kept.sum()))]),
                "user_id": pa.array(names[user[rows]][kept]),
                "item_id": pa.array(np.char.add("i", rng.integers(ITEM_COUNT, size=len(user)).astype(str))[rows][kept]),
                "ts": pa.array((start + seconds.astype("timedelta64[s]"))[kept]).cast(SCHEMA.field("ts").type),
                "surface": pa.array(np.full(int(kept.sum()), "home")),
                "action": pa.array(action[kept]),
                "ms_played": pa.array(np.where(action == "play", 180_000, 0)[kept]),
                "request_id": pa.array(np.char.add(f"r{day}-", (rows // PAGE).astype(str))[kept]),
                "exposure": pa.StructArray.from_arrays(
                    [pa.array(shown[kept]), pa.array(np.zeros(int(kept.sum()), dtype=np.int32))],
                    fields=list(EXPOSURE),
                    mask=pa.array(missing[kept]),
                ),
            },
            SCHEMA,
        )
        target = folder / "events" / f"day={STARTED.date() + timedelta(days=day)}"
        target.mkdir(parents=True)
        pq.write_table(table, target / "part-0.parquet", compression="zstd")
        exposed += int(((action == "impression") & logged).sum())
    return exposed


def catalogue(rng: np.random.Generator) -> pa.Table:
    """The items: their creators, and release days of which some are recent."""
    ids = [f"i{number}" for number in range(ITEM_COUNT)]
    released = np.datetime64(STARTED.date()) - rng.integers(-10, 400, ITEM_COUNT)
    columns = {
        "item_id": pa.array(ids),
        "title": pa.array(ids),
        "creator_id": pa.array([f"c{number}" for number in rng.integers(CREATORS, size=ITEM_COUNT)]),
        "release_date": pa.array(released),
    }
    return pa.table({**nulls(ITEMS, ITEM_COUNT), **columns}, ITEMS)


def nulls(schema: pa.Schema, rows: int) -> dict[str, pa.Array]:
    """Columns of nulls."""
    return {field.name: pa.nulls(rows, field.type) for field in schema}


def event_files(folder: Path) -> Iterator[Path]:
    """The files of a log's events, in the order of the days."""
    yield from sorted(folder.glob("events/day=*/*.parquet"))

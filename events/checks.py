"""The rules of an import. A broken table stops it; a bad row is set aside with its reason."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events import canonical as columns
from events import quarantine, schema
from events.imported import Imported, Source
from segue.errors import InputError

SCHEMAS = {"events": schema.EVENTS, "items": schema.ITEMS, "users": schema.USERS}
IDS = {"events": ("user_id", "item_id", "event_id"), "items": ("item_id",), "users": ("user_id",)}
TIMES = {"users": "signup_ts", "events": "ts"}
PARTITION = "day"  # the column that is in the path of the events

NO_TITLE = "title is null"
UNKNOWN_ACTION = f"action is not one of {', '.join(schema.ACTIONS)}"
UNKNOWN_SURFACE = f"surface is not one of {', '.join(schema.SURFACES)}"
UNKNOWN_ITEM = "item_id is not in items"
UNKNOWN_USER = "user_id is not in users"
NEGATIVE_PLAY = "ms_played is negative"
NEGATIVE_POSITION = "position is negative"
NO_PROBABILITY = "propensity is outside (0, 1]"


def check(imported: Imported, latest: datetime | None = None) -> Imported:
    """Hold the three tables against the rules.

    Args:
        imported: the data set as read.
        latest: the end of the declared range of times (UTC, inclusive), which begins at
            `schema.EARLIEST`; None where there is no clock to hold it against.

    Returns:
        The data set without the rows that break a row's rule; those are in its quarantine.

    Raises:
        InputError: a missing column, a null or duplicate id, a time outside the range, no events,
            fewer than two listeners. Names file, row and rule.
    """
    tables, sources, aside = {}, {}, [imported.quarantine]
    for name, table_schema in SCHEMAS.items():
        source, table = imported.source(name), getattr(imported, name)
        if table.num_rows == 0:
            raise InputError(f"{source.name}: {name} has no rows.", f"Import a file with {name}.")
        table = columns.conform(table, table_schema, source)
        stop_on_broken_table(name, table, source, latest)
        tables[name], sources[name] = table, source
    for name, rules in (("items", item_rules), ("events", event_rules)):  # events need the good items
        bad, reasons = broken(rules(tables))
        aside.append(quarantine.entries(name, tables[name], sources[name], bad, reasons))
        good = np.ones(tables[name].num_rows, bool)
        good[bad] = False
        if len(bad):
            tables[name], sources[name] = tables[name].filter(pa.array(good)), sources[name].take(good)
    stop_on_too_few(tables["events"], sources["events"])
    return replace(imported, **tables, quarantine=pa.concat_tables(aside), sources=sources)


def stop_on_broken_table(name: str, table: pa.Table, source: Source, latest: datetime | None) -> None:
    """Raise InputError unless ids are there and unique and times lie in the declared range."""
    if name == "events" and PARTITION in table.column_names:
        raise InputError(
            f"{source.name}: the column {PARTITION!r} is taken: events are stored by day.",
            f"Give yours another name with `--map NAME={PARTITION}`.",
        )
    for key in IDS[name]:
        if table[key].null_count:
            stop(source, first(pc.is_null(table[key])), f"{key} is null", "Give every row its ids.")
    key = IDS[name][-1]
    repeated = first_repeated(table[key])
    if repeated is not None:
        rule = f"{key} {table[key][repeated].as_py()!r} is a duplicate: ids are unique"
        stop(source, repeated, rule, "Remove the repeated rows, or map the column that is unique.")
    if name in TIMES:
        stop_on_time(table[TIMES[name]], TIMES[name], source, latest, required=name == "events")


def stop_on_time(column: pa.ChunkedArray, name: str, source: Source, latest: datetime | None, required: bool) -> None:
    """Raise InputError on a time outside `schema.EARLIEST .. latest`, or null where it is required."""
    if required and column.null_count:
        stop(source, first(pc.is_null(column)), f"{name} is null", "Give every event its time.")
    outside = pc.less(column, pa.scalar(schema.EARLIEST, schema.TIMESTAMP))
    if latest is not None:
        outside = pc.or_(outside, pc.greater(column, pa.scalar(latest, schema.TIMESTAMP)))
    if pc.any(outside).as_py():
        position = first(outside)
        # NumPy writes years that `datetime` cannot hold.
        value = np.datetime_as_string(column.slice(position, 1).to_numpy()[0], unit="s")
        until = f" .. {latest:%Y-%m-%d}" if latest else ""
        rule = f"{name} {value} lies outside the declared range {schema.EARLIEST:%Y-%m-%d}{until}"
        stop(source, position, rule, "Correct the time, or check its unit (seconds or milliseconds).")


def stop_on_too_few(events: pa.Table, source: Source) -> None:
    """Raise InputError if what is left has no two listeners."""
    if events.num_rows == 0:
        raise InputError(
            f"{source.name}: no event is left: every row breaks a rule.",
            "Look at `action`, `item_id` and `user_id`: they must be known values.",
        )
    users = pc.count_distinct(events["user_id"]).as_py()
    if users < 2:
        raise InputError(
            f"{source.name}: a recommender needs at least two users with events; got {users}.",
            "Import a log of more listeners.",
        )


def item_rules(tables: dict[str, pa.Table]) -> dict[str, pa.ChunkedArray]:
    """What sets an item aside: `{reason: mask [rows]}`."""
    return {NO_TITLE: pc.is_null(tables["items"]["title"])}


def event_rules(tables: dict[str, pa.Table]) -> dict[str, pa.ChunkedArray]:
    """What sets an event aside: `{reason: mask [rows]}`. Null stands for unknown, and breaks no rule but the first."""
    events = tables["events"]
    surface, propensity = events["surface"], events["propensity"]
    known_surface = pc.or_(pc.is_null(surface), pc.is_in(surface, pa.array(schema.SURFACES)))
    probability = pc.and_(pc.greater(propensity, 0.0), pc.less_equal(propensity, 1.0))
    return {
        UNKNOWN_ACTION: pc.invert(pc.is_in(events["action"], pa.array(schema.ACTIONS))),
        UNKNOWN_SURFACE: pc.invert(known_surface),
        UNKNOWN_ITEM: unknown(events["item_id"], tables["items"]["item_id"]),
        UNKNOWN_USER: unknown(events["user_id"], tables["users"]["user_id"]),
        NEGATIVE_PLAY: pc.less(events["ms_played"], 0),
        NEGATIVE_POSITION: pc.less(events["position"], 0),
        NO_PROBABILITY: pc.invert(probability),
    }


def broken(rules: dict[str, pa.ChunkedArray]) -> tuple[np.ndarray, list[str]]:
    """The rows that break a rule.

    Args:
        rules: `{reason: mask [rows]}`; null is false.

    Returns:
        Positions, ascending, and for each the first rule that it breaks.
    """
    masks = np.stack([mask.fill_null(False).to_numpy() for mask in rules.values()])  # [rules, rows]
    positions = np.flatnonzero(masks.any(axis=0))
    reasons = list(rules)
    return positions, [reasons[number] for number in masks[:, positions].argmax(axis=0)]


def unknown(ids: pa.ChunkedArray, known: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which ids are not among the known ones."""
    return pc.invert(pc.is_in(ids, known.combine_chunks()))


def first(mask: pa.ChunkedArray) -> int:
    """Position of the first true value."""
    return pc.index(mask, True).as_py()


def first_repeated(ids: pa.ChunkedArray) -> int | None:
    """Position of the first id that came before, or None."""
    codes = ids.combine_chunks().dictionary_encode().indices.to_numpy()
    # Codes are given in order of appearance: each new id gets the next one.
    new = np.diff(np.maximum.accumulate(codes), prepend=-1) > 0
    return None if new.all() else int(np.argmin(new))


def stop(source: Source, position: int, rule: str, fix: str) -> None:
    """Raise InputError that names file, row and rule."""
    file, row = source.at(position)
    raise InputError(f"{file}, row {row}: {rule}.", fix)

"""The rules of an import.

A rule about a whole table (ids, times, columns) stops the import. A rule about one row sends the row to the
quarantine with its reason.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events import canonical, quarantine, request_joins, schema
from events.bulk.batches import in_parallel, rows_where, spans
from events.bulk.repeats import first_repeated
from events.bulk.spool import let_go
from events.imported import Imported
from events.origins import RowOrigins
from events.values.reading import MISSING
from segue.errors import InputError

Rules = Callable[[dict[str, pa.Table]], dict[str, pa.ChunkedArray]]

SCHEMAS = {"events": schema.EVENTS, "items": schema.ITEMS, "users": schema.USERS}
# No id may be null. The last id of each table must also be unique.
ID_COLUMNS = {"events": ("user_id", "item_id", "event_id"), "items": ("item_id",), "users": ("user_id",)}
TIME_COLUMNS = {"users": "signup_ts", "events": "ts"}
PARTITION = "day"  # events are stored by this column; its values are in the paths, not in the files

NO_TITLE = "title is null"
UNKNOWN_ACTION = f"action is not one of {', '.join(schema.ACTIONS)}"
UNKNOWN_SURFACE = f"surface is not one of {', '.join(schema.SURFACES)}"
UNKNOWN_ITEM = "item_id is not in items"
UNKNOWN_USER = "user_id is not in users"
NEGATIVE_PLAY = "ms_played is negative"
NEGATIVE_POSITION = "position is negative"
NO_PROBABILITY = "propensity is outside (0, 1]"


def check(imported: Imported, latest: datetime | None = None) -> Imported:
    """Check the three tables of a data set against the rules.

    Args:
        imported: The data set as read.
        latest: The latest allowed time (UTC, inclusive). The earliest is `schema.EARLIEST`. None allows any
            later time, for instance for a synthetic log, whose days may lie in the future.

    Returns:
        The data set with the rows that break a rule moved to its quarantine. Its `mapping` also says what the values
        of whole columns decided, and which interactions belong to no impression.

    Raises:
        InputError: A column is missing, an id is null or a duplicate, a time is outside the range, there are
            no events, or fewer than two listeners. The error names the file, the row and the rule.
    """
    checked, kept = examine(imported, latest)
    if kept.all():
        return checked
    origins = {**checked.origins, "events": checked.origins["events"].take(kept)}
    return replace(checked, events=rows_where(checked.events, kept), origins=origins)


def examine(imported: Imported, latest: datetime | None = None) -> tuple[Imported, np.ndarray]:
    """Check a data set as `check` does, but leave all events in their table: a copy of a long log takes seconds.

    Returns:
        The checked data set, and a mask that is true for the events that break no rule.
    """
    tables, origins, quarantined = {}, {}, [imported.quarantine]
    for name, table_schema in SCHEMAS.items():
        table_origins, table = imported.origins_of(name), getattr(imported, name)
        if table.num_rows == 0:
            raise InputError(f"{table_origins.name}: {name} has no rows.", f"Import a file that holds {name}.")
        table = canonical.conform(table, table_schema, table_origins)
        stop_on_broken_table(name, table, table_origins, latest)
        tables[name], origins[name] = table, table_origins
    # Items come first: the events of a quarantined item are quarantined too.
    for name, rules in (("items", item_rules), ("events", event_rules)):
        positions, reasons = broken_rows(name, rules, tables)
        quarantined.append(quarantine.entries(name, tables[name], origins[name], positions, reasons))
        kept = np.ones(tables[name].num_rows, bool)
        kept[positions] = False
        if name == "items" and len(positions):
            tables[name], origins[name] = rows_where(tables[name], kept), origins[name].take(kept)
        let_go()
    events = tables["events"]
    stop_on_too_few(events, kept, origins["events"])
    mapping = [*imported.mapping, *(note for table in tables.values() for note in canonical.notes(table))]
    if pc.any(pc.equal(events["action"], schema.IMPRESSION)).as_py():
        mapping += filter(None, [request_joins.sentence(request_joins.count(rows_where(events, kept)))])
    tables = {name: canonical.without_notes(table) for name, table in tables.items()}
    checked = replace(
        imported, **tables, mapping=tuple(mapping), quarantine=pa.concat_tables(quarantined), origins=origins
    )
    return checked, kept


def stop_on_broken_table(name: str, table: pa.Table, origins: RowOrigins, latest: datetime | None) -> None:
    """Raise InputError if an id is null or a duplicate, or if a time is outside the range.

    Args:
        name: `items`, `users` or `events`.
        table: The table, with the columns of its schema.
        origins: Origins of the table's rows.
        latest: The latest allowed time (UTC, inclusive), or None.
    """
    if name == "events" and PARTITION in table.column_names:
        raise InputError(
            f"{origins.name}: the column {PARTITION!r} is taken: events are stored by day.",
            f"Give your column another name with `--map NAME={PARTITION}`.",
        )
    for key in ID_COLUMNS[name]:
        if table[key].null_count:
            stop(origins, first_true(pc.is_null(table[key])), f"{key} is null or blank", "Give every row its ids.")
    key = ID_COLUMNS[name][-1]
    if name != "events":  # whose listeners and items are in these tables, else they are quarantined
        missing = pc.is_in(table[key], pa.array(MISSING))
        if pc.any(missing).as_py():
            position = first_true(missing)
            rule = f"{key} is {table[key][position].as_py()!r}, which is how a missing value is written"
            stop(origins, position, rule, "Give every row its ids, or leave out the rows that have none.")
    repeated = first_repeated(table[key])
    if repeated is not None:
        rule = f"{key} {table[key][repeated].as_py()!r} is a duplicate: ids are unique"
        stop(origins, repeated, rule, f"Remove the repeated rows, or map {key} to a column of unique values.")
    if name in TIME_COLUMNS:
        time_column = TIME_COLUMNS[name]
        stop_on_time(table[time_column], time_column, origins, latest, required=name == "events")


def stop_on_time(
    column: pa.ChunkedArray, name: str, origins: RowOrigins, latest: datetime | None, required: bool
) -> None:
    """Raise InputError if a time is outside `schema.EARLIEST .. latest`, or null in a required column."""
    if required and column.null_count:
        stop(origins, first_true(pc.is_null(column)), f"{name} is null", "Give every event its time.")
    outside = pc.less(column, pa.scalar(schema.EARLIEST, schema.TIMESTAMP))
    if latest is not None:
        outside = pc.or_(outside, pc.greater(column, pa.scalar(latest, schema.TIMESTAMP)))
    if pc.any(outside).as_py():
        position = first_true(outside)
        # NumPy formats years after 9999, which `datetime` cannot hold.
        value = np.datetime_as_string(column.slice(position, 1).to_numpy()[0], unit="s")
        until = f" .. {latest:%Y-%m-%d}" if latest else ""
        rule = f"{name} {value} lies outside the declared range {schema.EARLIEST:%Y-%m-%d}{until}"
        stop(origins, position, rule, "Correct the time, or check its unit (seconds or milliseconds).")


def stop_on_too_few(events: pa.Table, kept: np.ndarray, origins: RowOrigins) -> None:
    """Raise InputError if the events that passed the rules, where the mask is true, have fewer than two listeners."""
    if not kept.any():
        raise InputError(
            f"{origins.name}: no event is left: every row breaks a rule.",
            "Check `action`, `item_id` and `user_id`: an action must be one of "
            f"{', '.join(schema.ACTIONS)}, and an id must be in the table of items or users.",
        )
    users = events["user_id"]
    if not (pc.not_equal(users, users[int(kept.argmax())]).to_numpy() & kept).any():
        raise InputError(
            f"{origins.name}: a recommender needs at least two users with events; got 1.",
            "Import a log with more listeners.",
        )


def item_rules(tables: dict[str, pa.Table]) -> dict[str, pa.ChunkedArray]:
    """Return the rules that quarantine an item: `{reason: mask [rows]}`, true where the row breaks the rule."""
    return {NO_TITLE: pc.is_null(tables["items"]["title"])}


def event_rules(tables: dict[str, pa.Table]) -> dict[str, pa.ChunkedArray]:
    """Return the rules that quarantine an event: `{reason: mask [rows]}`, true where the row breaks the rule.

    An action is required. A null surface, position, play time or propensity means unknown and breaks no rule.
    """
    events = tables["events"]
    surface, propensity = events["surface"], events["propensity"]
    valid_surface = pc.or_(pc.is_null(surface), pc.is_in(surface, pa.array(schema.SURFACES)))
    probability = pc.and_(pc.greater(propensity, 0.0), pc.less_equal(propensity, 1.0))
    return {
        UNKNOWN_ACTION: pc.invert(pc.is_in(events["action"], pa.array(schema.ACTIONS))),
        UNKNOWN_SURFACE: pc.invert(valid_surface),
        UNKNOWN_ITEM: not_among(events["item_id"], tables["items"]["item_id"]),
        UNKNOWN_USER: not_among(events["user_id"], tables["users"]["user_id"]),
        NEGATIVE_PLAY: pc.less(events["ms_played"], 0),
        NEGATIVE_POSITION: pc.less(events["position"], 0),
        NO_PROBABILITY: pc.invert(probability),
    }


def broken_rows(name: str, rules: Rules, tables: dict[str, pa.Table]) -> tuple[np.ndarray, list[str]]:
    """Return what `broken` finds in a table by rules, on all cores."""
    parts = spans(tables[name])
    positions, reasons, begin = [], list[str](), 0
    found = in_parallel(lambda part: broken(rules({**tables, name: part})), parts)
    for part, (part_positions, part_reasons) in zip(parts, found, strict=True):
        positions.append(begin + part_positions)
        reasons += part_reasons
        begin += part.num_rows
    return np.concatenate(positions), reasons


def broken(rules: dict[str, pa.ChunkedArray]) -> tuple[np.ndarray, list[str]]:
    """Find the rows that break a rule.

    Args:
        rules: `{reason: mask [rows]}`. Null counts as false.

    Returns:
        Positions of the rows, ascending, and for each row the first rule that it breaks.
    """
    # [rows], the number of the first rule that a row breaks, and the number of rules if it breaks none
    first = np.full(len(next(iter(rules.values()))), len(rules), np.int8)
    for number, mask in enumerate(rules.values()):
        first[mask.fill_null(False).to_numpy() & (first == len(rules))] = number
    positions = np.flatnonzero(first < len(rules))
    reasons = list(rules)
    return positions, [reasons[number] for number in first[positions]]


def not_among(ids: pa.ChunkedArray, valid_ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a mask that is true for each id that is not one of the valid ids."""
    return pc.invert(pc.is_in(ids, valid_ids.combine_chunks()))


def first_true(mask: pa.ChunkedArray) -> int:
    """Return the position of the first true value."""
    return pc.index(mask, True).as_py()


def stop(origins: RowOrigins, position: int, rule: str, fix: str) -> None:
    """Raise InputError with the file and row of `position`, the rule and the fix."""
    file, row = origins.at(position)
    raise InputError(f"{file}, row {row}: {rule}.", fix)

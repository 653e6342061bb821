"""Collect the journal into the imported events: each request once, whenever and however often it is collected.

The data set's manifest says how far the journal was collected, and takes the place of the old one together with the
events. So a collection that is killed has happened or has not. A long journal is collected in parts, each of which is
such a collection. Each joins all requests that have got a
record since, from all of their records: late feedback, or a late page, changes the rows that are there.
"""

import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from events import quarantine, schema
from events.dataset import Tables, change, continued, identity
from events.imported import Imported
from events.journal import served
from events.journal.joins import EXPOSURE, ROWS, Joined, join, refuse_own
from events.journal.journal import Journal
from events.journal.records import microseconds
from segue.errors import InputError
from segue.settings import Home
from stores import parts

JOURNAL = "journal"  # the file that quarantined rows name
TAKEN = "event_id is taken by another event"
PART = 50_000  # records that are joined at once
ID, CURSOR = "journal", "cursor"  # of the manifest's `collected`


def collect_home(journal: Journal, home: Home, now: datetime, keep: timedelta, items: pa.Table | None = None) -> dict:
    """Collect the journal into a home's data set, and then drop what is old from the journal.

    Args:
        journal: The journal of the home.
        home: The home.
        now: The time now.
        keep: Age from which on collected requests are dropped.
        items: As in `collect`.

    Returns:
        The result of `collect` with `dropped`, the number of records that are gone from the journal.

    Raises:
        InputError: As `collect`.
        UnavailableError: The journal or the object store does not answer.
    """
    result = parts.change(home, parts.DATA, lambda: collect(journal, home.data, items, now))
    return {**result, "dropped": journal.keeping.drop(microseconds(now - keep), result[CURSOR])}


def collect(
    journal: Journal, data: Path, items: pa.Table | None = None, until: datetime | None = None
) -> dict[str, Any]:
    """Join what has come to the journal since the last collection into the data set in the folder `data`.

    Args:
        journal: The journal.
        data: The folder. Without a data set it gets one, whose listeners are those of the journal.
        items: A table of items (`schema.ITEMS`), which go before those of the data set. With it the whole journal is
            joined again, because items that were unknown may be known now.
        until: The instant up to which the log is complete with it, for the manifest; None for that of its last event.

    Returns:
        `requests`, the number joined; `added`, how many more events of each action there are than before;
        `listeners`, the number of new ones; `unexplained`, interactions without their exposure; `quarantined`, the
        rows set aside, by reason; `cursor`, the place in the journal up to which it is collected.

    Raises:
        InputError: There is neither a data set nor items, or fewer than two listeners did anything.
        UnavailableError: The journal does not answer.
    """
    newest = journal.keeping.newest()
    result, actions, reasons = Counter[str](), Counter[str](), Counter[str]()
    cursor = None
    while cursor != newest:
        cursor, joined, before, manifest = collect_part(journal, data, items, until, cursor, newest)
        actions.update(manifest.get("actions", {}))
        actions.subtract(before.get("actions", {}))
        reasons.update(reason for reason, _ in joined.refused)
        result["requests"] += joined.requests
        result["listeners"] += users_of(manifest) - users_of(before)
        result["unexplained"] += sum("exposure" not in row for row in joined.rows)
    added = {action: count for action, count in actions.items() if count}
    return {**result, "added": added, "quarantined": dict(reasons), "cursor": newest}


def collect_part(
    journal: Journal, data: Path, items: pa.Table | None, until: datetime | None, after: str | None, newest: str
) -> tuple[str, Joined, dict[str, Any], dict[str, Any]]:
    """Collect the next `PART` records of a journal, so that a long one needs no more memory than a short one.

    Args:
        journal, data, items, until: As for `collect`.
        after: The cursor of the last part; None at the beginning, where the manifest names it.
        newest: The cursor at which the collection ends.

    Returns:
        The cursor up to which the journal is collected now, what was joined, and the manifests before and after.
    """
    keeping = journal.keeping
    place, before, cursor, joined = keeping.identity(), {}, "", Joined()

    def with_part(tables: Tables | None) -> Imported | None:
        nonlocal cursor, joined
        catalogue = catalogue_of(tables, items)
        before.update(tables.manifest if tables else {})
        last = before.get("collected") or {}
        goes_on = last.get(ID) == place and items is None
        first = after if after is not None else last.get(CURSOR, "") if goes_on else ""
        cursor = keeping.ahead(first, PART, newest)
        joined = join(keeping.changed(first, cursor), set(catalogue["item_id"].to_pylist()))
        collected = {ID: place, CURSOR: cursor, **({"until": until.isoformat()} if until else {})}
        return merged(tables, catalogue, joined, collected) if joined.requests else None

    manifest = change(data, with_part) or before
    return cursor, joined, before, manifest


def users_of(manifest: Mapping[str, Any]) -> int:
    """Return the number of listeners of a data set, 0 if there is none."""
    return manifest["counts"]["users"] if manifest else 0


def catalogue_of(tables: Tables | None, items: pa.Table | None) -> pa.Table:
    """Return the items of a data set, with given ones before those of the same id.

    Raises:
        InputError: There are neither.
    """
    if tables is None and items is None:
        raise InputError(
            "A journal is collected into a data set, whose items it names. None has been imported.",
            "Import a log first, or name a table of items: `segue data collect --items FILE`.",
        )
    if tables is None or items is None:
        return items if tables is None else tables.items
    others = tables.items.filter(pc.invert(pc.is_in(tables.items["item_id"], items["item_id"].combine_chunks())))
    return pa.concat_tables([others, items], promote_options="permissive")


def merged(tables: Tables | None, items: pa.Table, joined: Joined, collected: Mapping[str, str]) -> Imported:
    """Return the data set with the joined requests in place of what was there of them.

    Args:
        tables: The data set, or None.
        items: Its new catalogue.
        joined: The requests. Rows whose event id another event has are moved to `refused`.
        collected: How far the journal is collected with them.
    """
    existing = with_collected_columns(tables.events()) if tables else ROWS.empty_table()
    existing = reconciled(existing, joined)
    events = pa.concat_tables([existing, pa.Table.from_pylist(joined.rows, ROWS)], promote_options="default")
    known = tables.users["user_id"] if tables else pa.array([], pa.string())
    new = sorted({row["user_id"] for row in joined.rows}.difference(known.to_pylist()))
    listeners = pa.table({"user_id": pa.array(new, pa.string())})
    if tables is None:
        aside = aside_with(quarantine.empty(), joined)
        return Imported(
            JOURNAL,
            items,
            listeners,
            events,
            aside,
            collected=collected,
            served=served_with(served.SCHEMA.empty_table(), joined),
        )
    return continued(
        tables,
        events,
        identity(tables.manifest),
        items=items,
        users=pa.concat_tables([tables.users, listeners], promote_options="default"),
        quarantine=aside_with(tables.quarantine(), joined),
        collected=collected,
        served=served_with(tables.served(), joined),
    )


def with_collected_columns(events: pa.Table) -> pa.Table:
    """Return the events with the columns that collected rows have beside the contract's; they are null elsewhere.

    A log that an earlier version collected has an `exposure` of fewer fields; the new ones are null.

    Raises:
        InputError: The log has another column of such a name.
    """
    refuse_own(events.schema)
    for column in (EXPOSURE, schema.RECEIVED):
        if column.name not in events.column_names:
            events = events.append_column(column, pa.nulls(events.num_rows, column.type))
        elif events.schema.field(column.name).type != column.type:
            place = events.column_names.index(column.name)
            events = events.set_column(
                place, column, with_all_fields(events[column.name].combine_chunks(), column.type)
            )
    return events


def with_all_fields(structs: pa.StructArray, wanted: pa.StructType) -> pa.StructArray:
    """Return structs with all fields of a type; those that they lack are null."""
    fields = [
        pc.struct_field(structs, f.name) if f in list(structs.type) else pa.nulls(len(structs), f.type) for f in wanted
    ]
    return pa.StructArray.from_arrays(fields, fields=list(wanted), mask=structs.is_null())


def reconciled(existing: pa.Table, joined: Joined) -> pa.Table:
    """Return the stored events without those that the joined requests replace, and settle who keeps an event id.

    - A stored event of the same listener, item and action is the same event. The joined row replaces it, unless it has
      lost its exposure because the journal dropped the page since.
    - Another event keeps its id: the joined row is refused.
    - Impressions of a request whose page is known are those that it has now; a later confirmation may take one back.
    """
    rows = {row["event_id"]: row for row in (*(row for _, row in joined.refused), *joined.rows)}
    stored = existing.filter(pc.is_in(existing["event_id"], pa.array(rows, pa.string())))
    accepted = {row["event_id"] for row in joined.rows}
    keys = stored.select(["event_id", "user_id", "item_id", "action"]).to_pylist()
    others = {old["event_id"] for old in keys if any(old[name] != rows[old["event_id"]][name] for name in old)}
    bare = {old["event_id"] for old in keys if "exposure" not in rows[old["event_id"]]} & accepted - others
    joined.refused += [(TAKEN, row) for row in joined.rows if row["event_id"] in others]
    joined.rows = [row for row in joined.rows if row["event_id"] not in others | bare]
    replaced = pc.is_in(existing["event_id"], pa.array(rows.keys() - others - bare, pa.string()))
    shown = pc.and_(
        pc.starts_with(existing["event_id"], schema.SHOWN),
        pc.is_in(existing["request_id"], pa.array(joined.pages, pa.string())),
    )
    return existing.filter(pc.invert(pc.or_(replaced, shown)))


def served_with(stored: pa.Table, joined: Joined) -> pa.Table:
    """Return the sample of served features with those of the joined requests in place of what was there of them."""
    others = stored.filter(pc.invert(pc.is_in(stored["request_id"], pa.array(joined.pages, pa.string()))))
    return served.sample(pa.concat_tables([others, pa.Table.from_pylist(joined.served, served.SCHEMA)]))


def aside_with(stored: pa.Table, joined: Joined) -> pa.Table:
    """Return the quarantine with the refused rows of the joined requests in place of what was there of them."""
    others = pc.not_equal(stored["file"], JOURNAL)
    entries = {}
    for entry in stored.filter(pc.invert(others)).to_pylist():
        event = json.loads(entry["record"])
        shown = event["event_id"].startswith(schema.SHOWN) and event["request_id"] in joined.pages
        if not shown and event["event_id"] not in joined.feedback:
            entries[event["event_id"]] = entry["reason"], entry["record"]
    for reason, row in joined.refused:
        entries[row["event_id"]] = (
            reason,
            quarantine.ENCODER.encode({name: row.get(name) for name in schema.EVENTS.names}),
        )
    table = [
        {"table": "events", "file": JOURNAL, "row": number, "reason": reason, "record": record}
        for number, (_, (reason, record)) in enumerate(sorted(entries.items()), 1)
    ]
    return pa.concat_tables([stored.filter(others), pa.Table.from_pylist(table, quarantine.SCHEMA)])

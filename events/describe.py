"""Describe the imported data set: its figures, and the last interactions of one listener."""

from pathlib import Path
from typing import Any

import duckdb
import pyarrow.dataset as pds

from events import schema
from events.dataset import load
from segue.errors import InputError

EVENTS_BY_SURFACE = "select surface, count(*) from events group by surface order by count(*) desc, surface"
INTERACTION_COUNTS = """
    select count(distinct user_id), count(distinct item_id), count(distinct (user_id, item_id))
    from events where list_contains(?, action)
"""

LISTENER_EVENTS = """
    select timezone('UTC', ts), action, title, creator, genres
    from events left join items using (item_id)
    where user_id = ? and list_contains(?, action)
    order by ts desc, event_id desc limit ?
"""


def recent_interactions(data: Path, user_id: str, count: int) -> list[dict[str, Any]]:
    """The newest interactions of a listener, newest first.

    Returns:
        `ts` (UTC, without a zone), `action`, `title`, `creator` and `genres` of each.

    Raises:
        InputError: no data set has been imported, or the listener has no interaction in it.
    """
    tables = load(data)
    with duckdb.connect() as connection:
        connection.register("events", pds.dataset(tables.events_files, format="parquet"))
        connection.register("items", tables.items)
        rows = connection.execute(LISTENER_EVENTS, [user_id, list(schema.INTERACTIONS), count]).fetchall()
    if not rows:
        raise InputError(
            f"A listener's history needs an interaction in the imported log; {user_id!r} has none.",
            "Check the id against the column user_id of the events.",
        )
    return [dict(zip(("ts", "action", "title", "creator", "genres"), row, strict=True)) for row in rows]


def describe(data: Path) -> dict[str, Any]:
    """Describe the data set in the folder `data`.

    Returns:
        The manifest and four more entries: `surfaces` `{surface: events}`, `content_types` `{type: items}`,
        `active` `{users, items}` (how many have an interaction), and `density` (the share of all pairs of a
        listener and an item that have an interaction).

    Raises:
        InputError: No data set has been imported.
    """
    tables = load(data)
    with duckdb.connect() as connection:
        connection.register("events", pds.dataset(tables.events_files, format="parquet"))
        surfaces = connection.execute(EVENTS_BY_SURFACE).fetchall()
        users, items, pairs = connection.execute(INTERACTION_COUNTS, [list(schema.INTERACTIONS)]).fetchall()[0]
    content_types = tables.items["content_type"].value_counts().to_pylist()
    return {
        **tables.manifest,
        "surfaces": {str(surface or "unknown"): count for surface, count in surfaces},
        "content_types": {str(row["values"] or "unknown"): row["counts"] for row in content_types},
        "active": {"users": users, "items": items},
        "density": pairs / (tables.users.num_rows * tables.items.num_rows),
    }

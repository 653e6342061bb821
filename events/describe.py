"""Describe the imported data set in figures."""

from pathlib import Path
from typing import Any

import duckdb

from events import schema
from events.dataset import load

EVENTS_BY_SURFACE = "select surface, count(*) from events group by surface order by count(*) desc, surface"
INTERACTION_COUNTS = """
    select count(distinct user_id), count(distinct item_id), count(distinct (user_id, item_id))
    from events where list_contains(?, action)
"""


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
        connection.read_parquet(tables.events_glob, hive_partitioning=False).create_view("events")
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

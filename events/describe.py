"""What is in the imported data set, in figures."""

from pathlib import Path
from typing import Any

import duckdb

from events import schema
from events.store import load


def describe(data: Path) -> dict[str, Any]:
    """Describe the data set in the folder `data`.

    Returns:
        The manifest, and `surfaces` {surface: events}, `content_types` {type: items},
        `active` {users, items} with an interaction, and `density`: listener-item pairs with an
        interaction over all pairs.

    Raises:
        InputError: nothing has been imported.
    """
    tables = load(data)
    connection = duckdb.connect()
    events = connection.read_parquet(tables.events_glob, hive_partitioning=False)
    done = ", ".join(f"'{action}'" for action in schema.INTERACTIONS)
    surfaces = events.query(
        "events", "select surface, count(*) from events group by 1 order by 2 desc, 1"
    ).fetchall()
    users, items, pairs = events.query(
        "events",
        "select count(distinct user_id), count(distinct item_id), count(distinct (user_id, item_id)) "
        f"from events where action in ({done})",
    ).fetchall()[0]
    kinds = tables.items["content_type"].value_counts().to_pylist()
    return {
        **tables.manifest,
        "surfaces": {str(surface or "unknown"): count for surface, count in surfaces},
        "content_types": {str(kind["values"] or "unknown"): kind["counts"] for kind in kinds},
        "active": {"users": users, "items": items},
        "density": pairs / (tables.users.num_rows * tables.items.num_rows),
    }

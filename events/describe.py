"""What is in the imported data set, in figures."""

from pathlib import Path
from typing import Any

import duckdb

from events import schema
from events.dataset import load

BY_SURFACE = "select surface, count(*) from events group by surface order by count(*) desc, surface"
DONE = """
    select count(distinct user_id), count(distinct item_id), count(distinct (user_id, item_id))
    from events where list_contains(?, action)
"""


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
    with duckdb.connect() as connection:
        connection.read_parquet(tables.events_glob, hive_partitioning=False).create_view("events")
        surfaces = connection.execute(BY_SURFACE).fetchall()
        users, items, pairs = connection.execute(DONE, [list(schema.INTERACTIONS)]).fetchall()[0]
    kinds = tables.items["content_type"].value_counts().to_pylist()
    return {
        **tables.manifest,
        "surfaces": {str(surface or "unknown"): count for surface, count in surfaces},
        "content_types": {str(kind["values"] or "unknown"): kind["counts"] for kind in kinds},
        "active": {"users": users, "items": items},
        "density": pairs / (tables.users.num_rows * tables.items.num_rows),
    }

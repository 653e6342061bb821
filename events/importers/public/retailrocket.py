"""Import Retailrocket: what visitors of a shop viewed, put into the cart and bought."""

import re
from glob import escape
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from events import canonical, schema
from events.imported import Imported
from events.importers import text_files
from events.importers.public import folders, logs
from events.importers.registry import DATA_SETS
from segue.errors import InputError

COLUMNS = {
    "timestamp": "ts", "visitorid": "user_id", "event": "event", "itemid": "item_id", "transactionid": "transaction_id",
}  # fmt: skip
ACTIONS = {"view": schema.PLAY, "addtocart": schema.LIKE, "transaction": schema.ADD}
UNKNOWN_EVENT = f"event is not one of {', '.join(ACTIONS)}"
PROPERTIES = "item_properties*.csv"
CATEGORIES = """
    SELECT item_id, category, time FROM read_csv(
        $path, header = true, auto_detect = false,
        columns = {time: 'BIGINT', item_id: 'VARCHAR', property: 'VARCHAR', category: 'VARCHAR'}
    ) WHERE property = 'categoryid'
"""
MAPPING = (
    "view -> play (label_like 0, label_add 0)",
    "addtocart -> like (label_like 1)",
    "transaction -> add (label_add 1)",
    "the other labels are unknown",
    "an item's first known categoryid -> its genre; later values are not read, because they may follow the event",
    "the other properties are hashed and are not read; items have no titles, so the title is the id",
    logs.SESSION_RULE,
)


def read(folder: Path) -> Imported:
    """Read `events.csv`, and `item_properties*.csv` if it is there.

    Raises:
        InputError: A file is absent or breaks its format.
    """
    (path,) = folders.find(folder, DATA_SETS["retailrocket"])
    rows, origins = text_files.read(path, needed=tuple(COLUMNS))
    rows = rows.select(list(COLUMNS)).rename_columns(list(COLUMNS.values()))
    ts = canonical.cast_required(rows["ts"], schema.EVENTS.field("ts"), origins)
    rows = rows.set_column(0, "ts", ts)
    unknown = pc.invert(pc.is_in(rows["event"], pa.array(ACTIONS)))
    rows, origins, quarantined = logs.set_aside(rows, origins, {UNKNOWN_EVENT: unknown})
    action = rows["event"]
    for event, name in ACTIONS.items():
        action = pc.if_else(pc.equal(rows["event"], event), name, action)
    viewed = pc.equal(action, schema.PLAY)
    like, add = (pc.equal(action, name) for name in (schema.LIKE, schema.ADD))
    events = {
        **{name: rows[name] for name in rows.column_names},
        "event_id": logs.event_ids("rr", rows["user_id"], rows["item_id"], rows["event"], rows["ts"].cast(pa.int64())),
        "action": action,
        "session_id": logs.session_ids(rows["user_id"], rows["ts"]),
        **logs.labels(
            rows.num_rows,
            label_like=pc.if_else(pc.or_(viewed, like), like, None),
            label_add=pc.if_else(pc.or_(viewed, add), add, None),
        ),
    }
    return Imported(
        dataset="retailrocket",
        items=with_categories(logs.items_of_ids(rows["item_id"], "product"), folders.matches(folder, PROPERTIES)),
        users=logs.distinct_users(rows["user_id"]),
        events=pa.table(events),
        quarantine=quarantined,
        mapping=MAPPING,
        origins={"events": origins},
    )


def with_categories(items: pa.Table, paths: list[Path]) -> pa.Table:
    """Return the items with their category as the genre.

    Args:
        items: Items with events.
        paths: The files of properties, of which there may be none.
    """
    if not paths:
        return items
    categories, _ = logs.first_rows(pa.concat_tables(map(read_categories, paths)).sort_by("time"), "item_id")
    position = pc.index_in(items["item_id"], categories["item_id"].combine_chunks())
    category = categories["category"].combine_chunks().take(position.combine_chunks())
    genres = [[name] if name else [] for name in category.to_pylist()]
    return items.append_column("genres", pa.array(genres, pa.list_(pa.string())))


def read_categories(path: Path) -> pa.Table:
    """Read the categories of a file of properties: `item_id, category, time`.

    Most of the 20 million rows are other properties, so DuckDB reads and filters them in one pass.
    """
    try:
        # A path may have characters of a glob pattern, such as brackets.
        return duckdb.connect().sql(CATEGORIES, params={"path": escape(str(path))}).to_arrow_table()
    except duckdb.Error as error:
        line = re.search(r"Line: (\d+)", str(error))
        row = f", row {line[1]}" if line else ""
        raise InputError(
            f"{path.name}{row}: it is not `timestamp,itemid,property,value`", "Use the file as it was published."
        ) from None

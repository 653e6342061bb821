"""Import Yoochoose (RecSys Challenge 2015): clicks and purchases in the sessions of a shop.

The files have no header. There are no listeners across sessions, so each session is a listener of its own.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from events import canonical, schema
from events.imported import Imported
from events.importers import text_files
from events.importers.public import folders, logs
from events.importers.registry import DATA_SETS
from events.origins import RowOrigins

CLICK_COLUMNS = ("user_id", "ts", "item_id", "category")
BUY_COLUMNS = ("user_id", "ts", "item_id", "price", "quantity")
MAPPING = (
    "a session -> a listener with one session: the data set does not say whose sessions they are",
    "click -> play (label_add 0)",
    "purchase -> add (label_add 1)",
    "the other labels are unknown",
    "category, price and quantity are kept with the event: an item's category changes from click to click",
    "items have no titles; the title is the id",
)


def read(folder: Path) -> Imported:
    """Read `yoochoose-clicks.dat` and `yoochoose-buys.dat`.

    Raises:
        InputError: A file is absent or breaks its format.
    """
    clicks_path, buys_path = folders.find(folder, DATA_SETS["yoochoose"])
    clicks = read_events(clicks_path, CLICK_COLUMNS, schema.PLAY)
    buys, buy_origins = read_events(buys_path, BUY_COLUMNS, schema.ADD)
    for name in ("price", "quantity"):
        number = canonical.cast(buys[name], pa.field(name, pa.float64()), buy_origins)
        buys = buys.set_column(buys.column_names.index(name), name, number)
    rows, origins = logs.concat([clicks, (buys, buy_origins)])
    events = {
        **{name: rows[name] for name in rows.column_names},
        "event_id": logs.event_ids("yc", rows["user_id"], rows["item_id"], rows["action"], rows["ts"].cast(pa.int64())),
        "session_id": rows["user_id"],
        **logs.labels(rows.num_rows, label_add=pc.equal(rows["action"], schema.ADD)),
    }
    return Imported(
        dataset="yoochoose",
        items=logs.items_of_ids(rows["item_id"], "product"),
        users=logs.distinct_users(rows["user_id"]),
        events=pa.table(events),
        mapping=MAPPING,
        origins={"events": origins},
    )


def read_events(path: Path, columns: tuple[str, ...], action: str) -> tuple[pa.Table, RowOrigins]:
    """Read one file; all its rows have the same action."""
    rows, origins = text_files.read(path, columns, quoted=False)
    ts = canonical.cast_required(rows["ts"], schema.EVENTS.field("ts"), origins)
    rows = rows.set_column(1, "ts", ts)
    return rows.append_column("action", pa.array([action] * rows.num_rows)), origins

"""Import MIND (Microsoft News): which news were shown together, and which of them were clicked.

The training and the validation part have a folder each (`MINDsmall_train`, `MINDsmall_dev`). Both are read if the
folder above them is given.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events import schema
from events.checks import first_true, stop
from events.imported import Imported
from events.importers import text_files
from events.importers.public import folders, logs
from events.importers.registry import DATA_SETS
from events.origins import RowOrigins

BEHAVIOUR_COLUMNS = ("request_id", "user_id", "ts", "history", "shown")
NEWS_COLUMNS = (
    "item_id", "category", "subcategory", "title", "description", "url", "title_entities", "abstract_entities",
)  # fmt: skip
TIME = "%m/%d/%Y %I:%M:%S %p"
MAPPING = (
    "a line of behaviors.tsv -> one request (request_id is the folder's name and the impression id)",
    "news of a request -> impression; clicked (`-1`) -> also a play, at the time of the request",
    "label_play is 1 for a clicked impression, otherwise 0; the other labels are unknown",
    "positions are unknown: the publisher shuffled the order",
    "times have no zone and are read as UTC",
    "history is not read: its clicks have no times",
    "category and subcategory -> genres; abstract -> description",
    logs.SESSION_RULE,
)


def read(folder: Path) -> Imported:
    """Read `behaviors.tsv` and `news.tsv`.

    Raises:
        InputError: A file is absent or breaks its format.
    """
    behaviour_paths, news_paths = folders.find_all(folder, DATA_SETS["mind"])
    requests, origins = logs.concat([read_behaviours(path) for path in behaviour_paths])
    shown, shown_origins = impressions(requests, origins)
    clicked = shown["clicked"].to_numpy()
    rows = pa.concat_tables([shown, shown.filter(pa.array(clicked))])
    action = np.concatenate([np.full(len(clicked), schema.IMPRESSION), np.full(clicked.sum(), schema.PLAY)])
    actions = pa.chunked_array([pa.array(action, pa.string())])
    events = {
        "event_id": logs.event_ids("mind", rows["request_id"], rows["item_id"], actions),
        "user_id": rows["user_id"],
        "item_id": rows["item_id"],
        "ts": rows["ts"],
        "session_id": logs.session_ids(rows["user_id"], rows["ts"]),
        "surface": pa.array(["home"] * rows.num_rows),
        "action": actions,
        "request_id": rows["request_id"],
        **logs.labels(rows.num_rows, label_play=rows["clicked"]),
    }
    items, item_origins = read_news(news_paths)
    return Imported(
        dataset="mind",
        items=items,
        users=logs.distinct_users(rows["user_id"]),
        events=pa.table(events),
        mapping=MAPPING,
        origins={"items": item_origins, "events": RowOrigins.concat([shown_origins, shown_origins.take(clicked)])},
    )


def read_behaviours(path: Path) -> tuple[pa.Table, RowOrigins]:
    """Read the requests of one part, with times in UTC and request ids that no other part has."""
    rows, origins = text_files.read(path, BEHAVIOUR_COLUMNS, "\t", quoted=False)
    request = pc.binary_join_element_wise(path.resolve().parent.name, rows["request_id"], "-")
    ts = logs.strptime(rows["ts"], TIME, origins)
    rows = pa.table({"request_id": request, "user_id": rows["user_id"], "ts": ts, "shown": rows["shown"]})
    return rows, origins


def impressions(requests: pa.Table, origins: RowOrigins) -> tuple[pa.Table, RowOrigins]:
    """Return one row for each news shown, with `clicked`, and the origins of the rows.

    Args:
        requests: `request_id, user_id, ts, shown`, where `shown` is text such as `N1-1 N2-0`.
        origins: Origins of the requests.
    """
    shown = pc.split_pattern(requests["shown"].combine_chunks(), " ")
    request = pc.list_parent_indices(shown)
    parsed = pc.extract_regex(pc.list_flatten(shown), r"^(?P<item>\S+)-(?P<click>[01])$")
    if parsed.null_count:
        position = request[first_true(pc.is_null(parsed))].as_py()
        rule = "impressions are news ids that end in -1 (clicked) or -0, such as `N1-1 N2-0`"
        stop(origins, position, rule, "Use the training or validation part: the test part has no clicks.")
    table = requests.drop_columns(["shown"]).take(request)
    table = table.append_column("item_id", pc.struct_field(parsed, "item"))
    table = table.append_column("clicked", pc.equal(pc.struct_field(parsed, "click"), "1"))
    return table, origins.take(request.to_numpy())


def read_news(paths: list[Path]) -> tuple[pa.Table, RowOrigins]:
    """Read the news of all parts, each once, and their origins."""
    rows, origins = logs.concat([text_files.read(path, NEWS_COLUMNS, "\t", quoted=False) for path in paths])
    news, first = logs.first_rows(rows, "item_id")
    names = zip(news["category"].to_pylist(), news["subcategory"].to_pylist(), strict=True)
    items = pa.table({
        "item_id": news["item_id"],
        "title": news["title"],
        "content_type": pa.array(["news"] * news.num_rows),
        "genres": pa.array([[name for name in pair if name] for pair in names], pa.list_(pa.string())),
        "description": news["description"],
    })  # fmt: skip
    return items, origins.take(first)

"""Import KuaiRec: how long listeners watched short videos that the app played to them."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from events import canonical, schema
from events.imported import Imported
from events.importers import text_files
from events.importers.public import folders, logs
from events.importers.registry import DATA_SETS

COLUMNS = {
    "user_id": "user_id", "video_id": "item_id", "timestamp": "ts", "play_duration": "ms_played",
    "video_duration": "duration_ms", "watch_ratio": "watch_ratio",
}  # fmt: skip
CAPTIONS = "kuairec_caption_category.csv"
LEVELS = ("first_level_category_name", "second_level_category_name")
UNNAMED = ("", "UNKNOWN")
TAGS = "item_categories.csv"
SKIPPED = 0.1  # of the video's length; less is a skip
LIKED = 2.0  # times the video's length; more is a like, as the publisher suggests
NO_TIME = "timestamp is missing"
MAPPING = (
    "watch_ratio > 2 -> like (label_like 1, label_skip 0), as the publisher suggests",
    "watch_ratio < 0.1 -> skip (label_like 0, label_skip 1)",
    "any other view -> play (label_like 0, label_skip 0)",
    f"watch_ratio >= {schema.COMPLETE_SHARE} -> label_complete 1, lower -> 0",
    "play_duration, in ms -> ms_played and label_listen; video_duration -> duration_ms of the item",
    "label_play is unknown: its 30 seconds are longer than most videos; label_add is unknown",
    "timestamp, in unix seconds -> ts; time and date are the same in Beijing's zone and are not read",
    f"{NO_TIME} -> quarantined",
    f"caption and categories of {CAPTIONS} -> title and genres",
    f"without {CAPTIONS}: the id -> title, the numbers of {TAGS} -> genres",
    "small_matrix.csv is not read: its views have been chosen so that every listener has every video",
    logs.SESSION_RULE,
)


def read(folder: Path) -> Imported:
    """Read `big_matrix.csv`, and the catalogue if it is there.

    Raises:
        InputError: A file is absent or breaks its format.
    """
    (path,) = folders.find(folder, DATA_SETS["kuairec"])
    rows, origins = text_files.read(path, needed=tuple(COLUMNS))
    rows = rows.select(list(COLUMNS)).rename_columns(list(COLUMNS.values()))
    rows, origins, quarantined = logs.set_aside(rows, origins, {NO_TIME: pc.is_null(rows["ts"])})
    ts = canonical.cast(rows["ts"], schema.EVENTS.field("ts"), origins)
    ms_played = canonical.cast(rows["ms_played"], schema.EVENTS.field("ms_played"), origins)
    ratio = canonical.cast(rows["watch_ratio"], pa.field("watch_ratio", pa.float64()), origins)
    like, skip = pc.greater(ratio, LIKED), pc.less(ratio, SKIPPED)
    watched = pc.if_else(skip, schema.SKIP, schema.PLAY)
    events = {
        "event_id": logs.event_ids("kr", rows["user_id"], rows["item_id"], ts.cast(pa.int64())),
        "user_id": rows["user_id"],
        "item_id": rows["item_id"],
        "ts": ts,
        "session_id": logs.session_ids(rows["user_id"], ts),
        "action": pc.if_else(like, schema.LIKE, watched).fill_null(schema.PLAY),
        "ms_played": ms_played,
        "watch_ratio": ratio,
        **logs.labels(
            rows.num_rows,
            label_complete=pc.greater_equal(ratio, schema.COMPLETE_SHARE),
            label_skip=skip,
            label_like=like,
            label_listen=pc.log1p(pc.divide(ms_played.cast(pa.float64()), 1000.0)),
        ),
    }
    videos, first = logs.first_rows(rows.select(["item_id", "duration_ms"]), "item_id")
    return Imported(
        dataset="kuairec",
        items=described(videos, folder),
        users=logs.distinct_users(rows["user_id"]),
        events=pa.table(events),
        quarantine=quarantined,
        mapping=MAPPING,
        origins={"events": origins, "items": origins.take(first)},
    )


def described(videos: pa.Table, folder: Path) -> pa.Table:
    """Return the items with their titles and genres.

    Args:
        videos: `item_id, duration_ms`.
        folder: Has the captions and categories, or the tags, or neither.
    """
    titles, genres = {}, {}
    captions = folders.matches(folder, CAPTIONS)
    for path in [] if captions else folders.matches(folder, TAGS):
        rows, _ = text_files.read(path, needed=("video_id", "feat"))
        for row in rows.to_pylist():
            genres[row["video_id"]] = re.findall(r"\d+", row["feat"] or "")
    for path in captions:
        rows, _ = text_files.read(path, needed=("video_id", "caption", *LEVELS))
        for row in rows.select(["video_id", "caption", *LEVELS]).to_pylist():
            titles[row["video_id"]] = row["caption"]
            genres[row["video_id"]] = [row[level] for level in LEVELS if (row[level] or "") not in UNNAMED]
    ids = videos["item_id"].to_pylist()
    return pa.table({
        "item_id": videos["item_id"],
        "title": pa.array([titles.get(video) or video for video in ids], pa.string()),
        "content_type": pa.array(["video"] * len(ids)),
        "genres": pa.array([genres.get(video, []) for video in ids], pa.list_(pa.string())),
        "duration_ms": videos["duration_ms"],
    })  # fmt: skip

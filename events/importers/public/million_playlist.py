"""Import the Million Playlist Dataset (Spotify): slices of playlists in JSON.

Nobody's listening is in it, only playlists. Each playlist is a listener who adds its tracks in their order.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events import schema
from events.checks import first_true, stop
from events.imported import Imported
from events.importers import json_files
from events.importers.public import folders, logs
from events.importers.registry import DATA_SETS

TRACK = {
    "pos": "BIGINT", "track_uri": "VARCHAR", "track_name": "VARCHAR", "artist_uri": "VARCHAR",
    "artist_name": "VARCHAR", "album_name": "VARCHAR", "duration_ms": "BIGINT",
}  # fmt: skip
TRACKS = "STRUCT({})[]".format(", ".join(f"{name} {kind}" for name, kind in TRACK.items()))
COLUMNS = {"playlists": f"STRUCT(pid VARCHAR, modified_at BIGINT, tracks {TRACKS})[]"}
ENTRIES = """
    SELECT user_id, modified_at, tracks, track.* FROM (
        SELECT playlist.pid AS user_id, playlist.modified_at AS modified_at, len(playlist.tracks) AS tracks,
            unnest(playlist.tracks) AS track
        FROM (SELECT unnest(playlists) AS playlist FROM rows)
    )
"""
INCOMPLETE = "a track has no pos, or its playlist no modified_at"
MAPPING = (
    "a playlist -> a listener (user_id is the pid)",
    "a track of a playlist -> add",
    "a playlist's last track has the time modified_at, each track before it one second less: the order is known, the "
    "times are not",
    "all labels are unknown, as there are no negative examples: ranking cannot be trained or judged",
    "genres are unknown",
)


def read(folder: Path) -> Imported:
    """Read all `mpd.slice.*.json`.

    Raises:
        InputError: There is no slice, or one breaks its format.
    """
    (paths,) = folders.find_all(folder, DATA_SETS["million-playlist"])
    # A slice has no rows, so the row of a track is its number in the slice.
    rows, origins = logs.concat([json_files.read(path, COLUMNS, ENTRIES, lines=False) for path in paths])
    incomplete = pc.or_(pc.is_null(rows["pos"]), pc.is_null(rows["modified_at"]))
    if pc.any(incomplete).as_py():
        stop(origins, first_true(incomplete), INCOMPLETE, "Use the file as it was published.")
    before_last = pc.subtract(pc.subtract(rows["tracks"], 1), rows["pos"])
    seconds = pc.subtract(rows["modified_at"], before_last)
    ts = pc.multiply(seconds, 1_000_000).cast(schema.TIMESTAMP)
    events = {
        "event_id": logs.event_ids("mpd", rows["user_id"], rows["pos"]),
        "user_id": rows["user_id"],
        "item_id": rows["track_uri"],
        "ts": ts,
        "session_id": rows["user_id"],
        "action": pa.array(np.full(rows.num_rows, schema.ADD)),
        **logs.labels(rows.num_rows),
    }
    tracks, first = logs.first_rows(rows, "track_uri")
    items = {
        "item_id": tracks["track_uri"],
        "title": tracks["track_name"],
        "creator_id": tracks["artist_uri"],
        "creator": tracks["artist_name"],
        "content_type": pa.array(["music"] * tracks.num_rows),
        "duration_ms": tracks["duration_ms"],
        "album": tracks["album_name"],
    }
    return Imported(
        dataset="million-playlist",
        items=pa.table(items),
        users=logs.distinct_users(rows["user_id"]),
        events=pa.table(events),
        mapping=MAPPING,
        origins={"events": origins, "items": origins.take(first)},
    )

"""Import Last.fm 1K: every track that 992 listeners played until May 2009.

The files are UTF-8, separated by tabs, without quotes. Many tracks and artists have no MusicBrainz id.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events import canonical, schema
from events.imported import Imported
from events.importers import text_files
from events.importers.public import folders, logs, profiles
from events.importers.registry import DATA_SETS

PLAY_COLUMNS = ("user_id", "ts", "artist_id", "artist", "track_id", "track")
NO_TRACK = "track without an id and without a name"
MAPPING = (
    "a track played -> play; how long it was played is unknown",
    "a track that the listener has played before -> label_like 1, otherwise 0; the other labels are unknown",
    "item_id is the track's MusicBrainz id, or else `artist / track`",
    f"{NO_TRACK} -> quarantined",
    "genres are unknown",
    *profiles.MAPPING,
    logs.SESSION_RULE,
)


def read(folder: Path) -> Imported:
    """Read `userid-timestamp-artid-artname-traid-traname.tsv` and `userid-profile.tsv`.

    Raises:
        InputError: A file is absent or breaks its format.
    """
    plays_path, profile_path = folders.find(folder, DATA_SETS["lastfm-1k"])
    rows, origins = text_files.read(plays_path, PLAY_COLUMNS, "\t", quoted=False)
    named = pc.binary_join_element_wise(rows["artist"].fill_null("?"), rows["track"], " / ")
    rows = rows.append_column("item_id", pc.coalesce(rows["track_id"], named))
    rows, origins, quarantined = logs.set_aside(rows, origins, {NO_TRACK: pc.is_null(rows["item_id"])})
    ts = canonical.cast_required(rows["ts"], schema.EVENTS.field("ts"), origins)
    events = {
        "event_id": logs.event_ids("lf1k", rows["user_id"], rows["item_id"], ts.cast(pa.int64())),
        "user_id": rows["user_id"],
        "item_id": rows["item_id"],
        "ts": ts,
        "session_id": logs.session_ids(rows["user_id"], ts),
        "action": pa.array(np.full(rows.num_rows, schema.PLAY)),
        **logs.labels(rows.num_rows, label_like=played_before(rows, ts)),
    }
    tracks, first = logs.first_rows(rows, "item_id")
    items = {
        "item_id": tracks["item_id"],
        "title": tracks["track"],
        "creator_id": tracks["artist_id"],
        "creator": tracks["artist"],
        "content_type": pa.array(["music"] * tracks.num_rows),
    }
    users, user_origins = text_files.read(profile_path, profiles.COLUMNS, "\t", quoted=False)
    is_header = pc.equal(users["user_id"], "#id").fill_null(False)
    users, user_origins = users.filter(pc.invert(is_header)), user_origins.take(~is_header.to_numpy())
    return Imported(
        dataset="lastfm-1k",
        items=pa.table(items),
        users=profiles.users(users),
        events=pa.table(events),
        quarantine=quarantined,
        mapping=MAPPING,
        origins={"events": origins, "items": origins.take(first), "users": user_origins},
    )


def played_before(plays: pa.Table, ts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return whether the listener has played the track before. It looks only at the past, so nothing leaks."""
    user, item = logs.codes(plays["user_id"]), logs.codes(plays["item_id"])
    order = np.lexsort((ts.cast(pa.int64()).to_numpy(), item, user))
    before = np.empty(len(order), bool)
    before[order] = (np.diff(user[order], prepend=-2) == 0) & (np.diff(item[order], prepend=-2) == 0)
    return pa.chunked_array([pa.array(before)])

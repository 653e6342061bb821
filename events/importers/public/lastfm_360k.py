"""Import Last.fm 360K: how often listeners played an artist. The data set has no times.

Each pair of a listener and an artist gets an invented time, drawn evenly over a year with a fixed seed. A split by time
is then a random hold-out, as papers on this data set use.
"""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events import canonical, schema
from events.imported import Imported
from events.importers import text_files
from events.importers.public import folders, logs, profiles
from events.importers.registry import DATA_SETS

PLAY_COLUMNS = ("user_id", "artist_id", "artist", "play_count")
PLAY_COUNT = pa.field("play_count", pa.int64())
FIRST = datetime(2008, 1, 1, tzinfo=UTC)
YEAR_S = 366 * 86_400
SEED = 0
NO_ARTIST = "artist without an id and without a name"
MAPPING = (
    "a listener's play count of an artist -> one play; play_count is kept",
    "TIMES ARE INVENTED: the data set has none. Each event gets a random second of 2008 (fixed seed), so that a split "
    "by time is a random hold-out. Recency, sessions, trends and drift mean nothing here",
    "play count at least the listener's median -> label_like 1, lower -> 0; the other labels are unknown",
    "item_id is the artist's MusicBrainz id, or else the artist's name",
    f"{NO_ARTIST} -> quarantined",
    "genres are unknown",
    *profiles.MAPPING,
)


def read(folder: Path) -> Imported:
    """Read `usersha1-artmbid-artname-plays.tsv` and `usersha1-profile.tsv`.

    Raises:
        InputError: A file is absent or breaks its format.
    """
    plays_path, profile_path = folders.find(folder, DATA_SETS["lastfm-360k"])
    rows, origins = text_files.read(plays_path, PLAY_COLUMNS, "\t", quoted=False)
    rows = rows.append_column("item_id", pc.coalesce(rows["artist_id"], rows["artist"]))
    rows, origins, quarantined = logs.set_aside(rows, origins, {NO_ARTIST: pc.is_null(rows["item_id"])})
    play_count = canonical.cast_required(rows["play_count"], PLAY_COUNT, origins)
    like = at_least_median(logs.codes(rows["user_id"]), play_count.to_numpy())
    events = {
        "event_id": logs.event_ids("lf360k", rows["user_id"], rows["item_id"]),
        "user_id": rows["user_id"],
        "item_id": rows["item_id"],
        "ts": invented_times(rows.num_rows),
        "action": pa.array(np.full(rows.num_rows, schema.PLAY)),
        "play_count": play_count,
        **logs.labels(rows.num_rows, label_like=pa.chunked_array([pa.array(like)])),
    }
    artists, first = logs.first_rows(rows, "item_id")
    items = {
        "item_id": artists["item_id"],
        "title": pc.coalesce(artists["artist"], artists["item_id"]),
        "content_type": pa.array(["artist"] * artists.num_rows),
    }
    users, user_origins = text_files.read(profile_path, profiles.COLUMNS, "\t", quoted=False)
    return Imported(
        dataset="lastfm-360k",
        items=pa.table(items),
        users=profiles.users(users),
        events=pa.table(events),
        quarantine=quarantined,
        mapping=MAPPING,
        origins={"events": origins, "items": origins.take(first), "users": user_origins},
    )


def invented_times(rows: int) -> pa.Array:
    """Return a random second of 2008 for each row; the same number of rows gives the same times."""
    seconds = np.random.default_rng(SEED).integers(0, YEAR_S, rows)
    return pa.array((int(FIRST.timestamp()) + seconds) * 1_000_000, pa.int64()).cast(schema.TIMESTAMP)


def at_least_median(user: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return whether each count is at least the median of its listener's counts.

    Args:
        user: `[rows]`, an integer code for each listener.
        counts: `[rows]`.
    """
    order = np.lexsort((counts, user))
    _, start, row_user, size = np.unique(user[order], return_index=True, return_inverse=True, return_counts=True)
    ordered = counts[order]
    median = (ordered[start + (size - 1) // 2] + ordered[start + size // 2]) / 2
    liked = np.empty(len(counts), bool)
    liked[order] = ordered >= median[row_user]
    return liked

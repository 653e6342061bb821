"""Import Last.fm 2K (HetRec 2011): tags that listeners gave to artists, and play counts.

Only the tags have times, and only to the day. A tag becomes an `add` event: the listener adds the artist to the
library. Items have no genres, because the tags are their only source: genres made from all tags would leak the later
events into the features of earlier ones.
"""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events import canonical, quarantine, schema
from events.imported import Imported
from events.importers import text_files
from events.importers.public import folders, logs
from events.importers.registry import DATA_SETS
from events.importers.sessions import sessions
from events.origins import RowOrigins

FIRST, END = datetime(2005, 1, 1, tzinfo=UTC), datetime(2012, 1, 1, tzinfo=UTC)  # the allowed times; END is excluded
OUT_OF_RANGE = "time outside 2005-01-01 .. 2011-12-31"
NO_NAME = "artist id without a name"
DAY_US = 86_400_000_000
PLAY_COUNT = pa.field("play_count", pa.int64())


def read(folder: Path) -> Imported:
    """Read the Last.fm 2K files in a folder.

    Raises:
        InputError: A file is absent or breaks its format.
    """
    artists_path, plays_path, assignments_path = folders.find(folder, DATA_SETS["lastfm"])
    artists, artist_origins = read_table(artists_path, ("id", "name"))
    plays, play_origins = read_table(plays_path, ("userID", "artistID", "weight"))
    play_count = canonical.cast_required(plays["weight"], PLAY_COUNT, play_origins)
    plays = pa.table({"user_id": plays["userID"], "item_id": plays["artistID"], "play_count": play_count})

    assignments, origins = read_table(assignments_path, ("userID", "artistID", "timestamp"))
    ts = canonical.cast_required(assignments["timestamp"], schema.EVENTS.field("ts"), origins)
    assignments = pa.table({"user_id": assignments["userID"], "item_id": assignments["artistID"], "ts": ts})
    quarantined, kept = quarantine_assignments(assignments, origins, artists["id"])
    assignments, origins = assignments.filter(pa.array(kept)), origins.take(kept)

    first = first_of_day(assignments)
    users = pc.unique(pa.chunked_array([*plays["user_id"].chunks, *assignments["user_id"].chunks]).drop_null())
    items = {
        "item_id": artists["id"],
        "title": artists["name"],
        "content_type": pa.array(["artist"] * artists.num_rows),
    }
    return Imported(
        dataset="lastfm-2k",
        items=pa.table(items),
        users=pa.table({"user_id": users}),
        events=add_events(assignments.take(pa.array(first)), plays),
        quarantine=quarantined,
        mapping=mapping_notes(quarantined, assignments.num_rows, len(first)),
        origins={"items": artist_origins, "events": origins.take(first)},
    )


def read_table(path: Path, needed: tuple[str, ...]) -> tuple[pa.Table, RowOrigins]:
    """Read a tab-separated UTF-8 file with a header line."""
    return text_files.read(path, separator="\t", encoding="utf-8", quoted=False, needed=needed)


def quarantine_assignments(
    assignments: pa.Table, origins: RowOrigins, artist_ids: pa.ChunkedArray
) -> tuple[pa.Table, np.ndarray]:
    """Quarantine the tag assignments whose time is out of range or whose artist has no name.

    Args:
        assignments: `user_id, item_id, ts`, one row for each tag that a listener gave to an artist.
        origins: Origins of these rows.
        artist_ids: Ids of the artists that have a name.

    Returns:
        The quarantined rows, and a mask `[assignments]` of the rows to keep.
    """
    first, end = (pa.scalar(limit, schema.TIMESTAMP) for limit in (FIRST, END))
    ts, item_id = assignments["ts"], assignments["item_id"]
    outside = pc.or_(pc.less(ts, first), pc.greater_equal(ts, end))
    # A null id is no reason for the quarantine here: `events.checks` stops the import and names its row.
    no_name = pc.and_(pc.is_valid(item_id), pc.invert(pc.is_in(item_id, artist_ids.combine_chunks())))
    out_of_range, nameless = (mask.fill_null(False).to_numpy() for mask in (outside, no_name))
    positions = np.flatnonzero(out_of_range | nameless)
    reasons = np.where(out_of_range, OUT_OF_RANGE, NO_NAME)[positions]
    entries = quarantine.entries("events", assignments, origins, positions, reasons.tolist())
    return entries, ~(out_of_range | nameless)


def first_of_day(assignments: pa.Table) -> np.ndarray:
    """Return the positions of the first assignment of each listener, artist and UTC day, by time and then by row."""
    ts = assignments["ts"].cast(pa.int64()).to_numpy()
    keys = [logs.codes(assignments["user_id"]), logs.codes(assignments["item_id"]), ts // DAY_US]
    _, first = np.unique(np.stack(keys), axis=1, return_index=True)
    return first[np.lexsort((first, ts[first]))]


def add_events(assignments: pa.Table, plays: pa.Table) -> pa.Table:
    """Return one `add` event for each assignment.

    Args:
        assignments: `user_id, item_id, ts`, one row for each listener, artist and day.
        plays: `user_id, item_id, play_count`.
    """
    ts = assignments["ts"].cast(pa.int64()).to_numpy()
    number = sessions(logs.codes(assignments["user_id"]), ts // DAY_US, pause=1)
    day = pc.strftime(assignments["ts"], "%Y%m%d")
    play_count, like = play_counts_and_likes(assignments, plays)
    unknown = pa.nulls(assignments.num_rows, pa.float32())
    return pa.table({
        "event_id": pc.binary_join_element_wise("lf", assignments["user_id"], assignments["item_id"], day, "-"),
        "user_id": assignments["user_id"],
        "item_id": assignments["item_id"],
        "ts": assignments["ts"],
        "session_id": pc.binary_join_element_wise(assignments["user_id"], pa.array(number).cast(pa.string()), "-s"),
        "action": pa.array([schema.ADD] * assignments.num_rows),
        "play_count": play_count,
        "label_play": unknown,
        "label_complete": unknown,
        "label_skip": unknown,
        "label_like": like,
        "label_add": unknown,
        "label_listen": unknown,
    })  # fmt: skip


def play_counts_and_likes(assignments: pa.Table, plays: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Return how often each listener played each artist, and whether that makes it a like.

    An artist counts as liked if its play count is at least the listener's median over all artists.

    Returns:
        Play counts `[assignments]`, and 1.0 or 0.0 `[assignments]`. Both are null if the count is unknown.
    """
    counts_by_user: dict[str, list[int]] = defaultdict(list)
    count_by_pair: dict[tuple[str, str], int] = {}
    for row in plays.to_pylist():
        counts_by_user[row["user_id"]].append(row["play_count"])
        count_by_pair[row["user_id"], row["item_id"]] = row["play_count"]
    median = {user: np.median(counts) for user, counts in counts_by_user.items()}
    users, items = assignments["user_id"].to_pylist(), assignments["item_id"].to_pylist()
    counts = [count_by_pair.get(pair) for pair in zip(users, items, strict=True)]
    likes = [None if count is None else float(count >= median[user]) for user, count in zip(users, counts, strict=True)]
    return pa.array(counts, pa.int64()), pa.array(likes, pa.float32())


def mapping_notes(quarantined: pa.Table, assignments: int, events: int) -> tuple[str, ...]:
    """Return the rules of this import, one line each, with the numbers of rows."""
    reasons = Counter(quarantined["reason"].to_pylist())
    return (
        f"a tag -> one add for each listener, artist and day ({assignments} assignments -> {events} events)",
        "play count at least the listener's median -> label_like 1, lower -> 0, unknown -> null",
        "label_play, label_complete, label_skip and label_listen are unknown",
        "label_add is unknown: every event is an add, so there would be no negative examples",
        "genres are unknown: genres made from the tags would leak later events",
        "the events of a day -> one session",
        f"{OUT_OF_RANGE} -> quarantined ({reasons[OUT_OF_RANGE]} assignments)",
        f"{NO_NAME} -> quarantined ({reasons[NO_NAME]} assignments)",
    )

"""Last.fm 2K (HetRec 2011): who tagged which artist on which day, and how often each was played.

Only the tags have times, and only to the day. Tagging an artist adds it to the listener's library. Genres are left out:
all that could tell them is the same tags, and a model would read from them what is tagged later.
"""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events import canonical as columns
from events import quarantine, schema
from events.imported import Imported, Source
from events.importers import text_files
from events.importers.sessions import sessions
from segue.errors import InputError

ARTISTS, PLAYS = "artists.dat", "user_artists.dat"
ASSIGNMENTS = "user_taggedartists-timestamps.dat"
FIRST, END = datetime(2005, 1, 1, tzinfo=UTC), datetime(2012, 1, 1, tzinfo=UTC)  # the declared range, [..)
OUT_OF_RANGE = "time outside 2005-01-01 .. 2011-12-31"
NO_NAME = "artist id without a name"
DAY_US = 86_400_000_000
COUNT = pa.field("play_count", pa.int64())


def read(folder: Path) -> Imported:
    """Read the Last.fm 2K files in a folder.

    Raises:
        InputError: a file is absent or breaks its format.
    """
    needed = (ARTISTS, PLAYS, ASSIGNMENTS)
    absent = [name for name in needed if not (folder / name).is_file()]
    if absent:
        raise InputError(
            f"{folder} holds no Last.fm 2K data set: looked for {', '.join(needed)}; no {', '.join(absent)}.",
            "Unpack hetrec2011-lastfm-2k and name its folder.",
        )
    artists, artists_source = read_table(folder / ARTISTS, ("id", "name"))
    plays, plays_source = read_table(folder / PLAYS, ("userID", "artistID", "weight"))
    weight = columns.required(plays["weight"], COUNT, plays_source)
    plays = pa.table({"user_id": plays["userID"], "item_id": plays["artistID"], "play_count": weight})

    given, source = read_table(folder / ASSIGNMENTS, ("userID", "artistID", "timestamp"))
    ts = columns.required(given["timestamp"], schema.EVENTS.field("ts"), source)
    given = pa.table({"user_id": given["userID"], "item_id": given["artistID"], "ts": ts})
    aside, good = set_aside(given, source, artists["id"])
    given, source = given.filter(pa.array(good)), source.take(good)

    kept = first_of_day(given)
    users = pc.unique(pa.chunked_array([*plays["user_id"].chunks, *given["user_id"].chunks]).drop_null())
    items = {
        "item_id": artists["id"],
        "title": artists["name"],
        "content_type": pa.array(["artist"] * artists.num_rows),
    }
    return Imported(
        dataset="lastfm-2k",
        items=pa.table(items),
        users=pa.table({"user_id": users}),
        events=added(given.take(pa.array(kept)), plays),
        quarantine=aside,
        mapping=mapping(aside, given.num_rows, len(kept)),
        sources={"items": artists_source, "events": source.take(kept)},
    )


def read_table(path: Path, needed: tuple[str, ...]) -> tuple[pa.Table, Source]:
    """A tab-separated file with a header, in UTF-8."""
    return text_files.read(path, separator="\t", encoding="utf-8", quoted=False, needed=needed)


def set_aside(given: pa.Table, source: Source, named: pa.ChunkedArray) -> tuple[pa.Table, np.ndarray]:
    """Quarantine tag assignments whose time or artist is unknown.

    Returns:
        The quarantine, and a mask `[assignments]` of the others.
    """
    first, end = (pa.scalar(limit, schema.TIMESTAMP) for limit in (FIRST, END))
    outside = pc.or_(pc.less(given["ts"], first), pc.greater_equal(given["ts"], end))
    no_name = pc.and_(pc.is_valid(given["item_id"]), pc.invert(pc.is_in(given["item_id"], named.combine_chunks())))
    late, nameless = (mask.fill_null(False).to_numpy() for mask in (outside, no_name))
    bad = np.flatnonzero(late | nameless)
    reasons = np.where(late, OUT_OF_RANGE, NO_NAME)[bad]
    return quarantine.entries("events", given, source, bad, reasons.tolist()), ~(late | nameless)


def first_of_day(given: pa.Table) -> np.ndarray:
    """Positions of the first assignment of each listener, artist and day (UTC), by time, then by row."""
    ts = given["ts"].cast(pa.int64()).to_numpy()
    keys = [codes(given["user_id"]), codes(given["item_id"]), ts // DAY_US]
    _, first = np.unique(np.stack(keys), axis=1, return_index=True)
    return first[np.lexsort((first, ts[first]))]


def codes(column: pa.ChunkedArray) -> np.ndarray:
    """A number for each value; null is -1."""
    return column.combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy()


def added(given: pa.Table, plays: pa.Table) -> pa.Table:
    """Events: a listener adds an artist. `label_like` compares its play count with the listener's median."""
    ts = given["ts"].cast(pa.int64()).to_numpy()
    number = sessions(codes(given["user_id"]), ts // DAY_US, pause=1)
    day = pc.strftime(given["ts"], "%Y%m%d")
    count, like = liked(given, plays)
    nothing = pa.nulls(given.num_rows, pa.float32())
    return pa.table({
        "event_id": pc.binary_join_element_wise("lf", given["user_id"], given["item_id"], day, "-"),
        "user_id": given["user_id"],
        "item_id": given["item_id"],
        "ts": given["ts"],
        "session_id": pc.binary_join_element_wise(given["user_id"], pa.array(number).cast(pa.string()), "-s"),
        "action": pa.array([schema.ADD] * given.num_rows),
        "play_count": count,
        "label_play": nothing,
        "label_complete": nothing,
        "label_skip": nothing,
        "label_like": like,
        "label_add": nothing,
        "label_listen": nothing,
    })  # fmt: skip


def liked(given: pa.Table, plays: pa.Table) -> tuple[pa.Array, pa.Array]:
    """The listener's play count of each artist, and whether it reaches the listener's median.

    Returns:
        Counts, and 1.0 or 0.0; null where no count is known.
    """
    by_user: dict[str, list[int]] = defaultdict(list)
    count_of: dict[tuple[str, str], int] = {}
    for row in plays.to_pylist():
        by_user[row["user_id"]].append(row["play_count"])
        count_of[row["user_id"], row["item_id"]] = row["play_count"]
    median = {user: np.median(counts) for user, counts in by_user.items()}
    users, items = given["user_id"].to_pylist(), given["item_id"].to_pylist()
    counts = [count_of.get(pair) for pair in zip(users, items, strict=True)]
    likes = [None if count is None else float(count >= median[user]) for user, count in zip(users, counts, strict=True)]
    return pa.array(counts, pa.int64()), pa.array(likes, pa.float32())


def mapping(aside: pa.Table, assignments: int, events: int) -> tuple[str, ...]:
    """What was made of what."""
    reasons = Counter(aside["reason"].to_pylist())
    return (
        f"tagging an artist -> add, once a listener, artist and day ({assignments} assignments -> {events} events)",
        "play count >= the listener's median over their artists -> label_like 1, lower -> 0, unknown -> null",
        "label_play, label_complete, label_skip and label_listen are unknown",
        "label_add is unknown: every event is an add, and nobody knows of what was not added",
        "genres are unknown: the tags are the events, and would tell what is tagged later",
        "a day -> a session",
        f"{OUT_OF_RANGE} -> quarantined ({reasons[OUT_OF_RANGE]} assignments)",
        f"{NO_NAME} -> quarantined ({reasons[NO_NAME]} assignments)",
    )

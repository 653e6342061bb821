"""The data contract: three tables in Parquet, times in UTC, ids as strings."""

from datetime import UTC, datetime

import pyarrow as pa

TIMESTAMP = pa.timestamp("us", tz="UTC")

ITEMS = pa.schema([
    pa.field("item_id", pa.string(), nullable=False),
    pa.field("title", pa.string(), nullable=False),
    pa.field("creator_id", pa.string()),
    pa.field("creator", pa.string()),
    pa.field("content_type", pa.string()),
    pa.field("genres", pa.list_(pa.string())),
    pa.field("language", pa.string()),
    pa.field("duration_ms", pa.int64()),
    pa.field("release_date", pa.date32()),
    pa.field("description", pa.string()),
    pa.field("markets", pa.list_(pa.string())),
])  # fmt: skip

USERS = pa.schema([
    pa.field("user_id", pa.string(), nullable=False),
    pa.field("country", pa.string()),
    pa.field("age_band", pa.string()),
    pa.field("plan", pa.string()),
    pa.field("signup_ts", TIMESTAMP),
])  # fmt: skip

EVENTS = pa.schema([
    pa.field("event_id", pa.string(), nullable=False),
    pa.field("user_id", pa.string(), nullable=False),
    pa.field("item_id", pa.string(), nullable=False),
    pa.field("ts", TIMESTAMP, nullable=False),
    pa.field("session_id", pa.string()),
    pa.field("surface", pa.string()),
    pa.field("position", pa.int32()),
    pa.field("action", pa.string(), nullable=False),
    pa.field("ms_played", pa.int64()),
    pa.field("query", pa.string()),
    pa.field("request_id", pa.string()),
    pa.field("policy", pa.string()),
    pa.field("propensity", pa.float64()),
])  # fmt: skip

# When feedback that the journal has collected came, UTC; null in other events. A page decided before had not seen it.
RECEIVED = pa.field("received", TIMESTAMP)

SURFACES = ("home", "now_playing", "search", "library")
IMPRESSION, PLAY, SKIP, LIKE, ADD = ACTIONS = ("impression", "play", "skip", "like", "add")
INTERACTIONS = (PLAY, SKIP, LIKE, ADD)  # actions of a listener; an impression is an action of the surface
POSITIVE = (PLAY, LIKE, ADD)

SHOWN = "impression:"  # begins the event ids of impressions that the journal has collected
FALLBACK = (
    "fallback-"  # begins the policy of pages that a part of the system could not decide; no model learns from them
)

HEADS = ("play", "complete", "skip", "like", "add")  # binary outputs of the ranking model
LISTEN = "listen"  # a further output, a number: log1p of the seconds listened
TASKS = (*HEADS, LISTEN)  # all outputs that have labels
PLAY_THROUGH_MS = 30_000  # `label_play` is 1 if an item was played for at least 30 s
COMPLETE_SHARE = 0.9  # `label_complete` is 1 from this share of the item's duration on

# A log may bring its own labels in these columns; null means unknown. Labels never become features.
LABEL_COLUMNS = tuple(f"label_{name}" for name in TASKS)

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)  # an import refuses earlier times

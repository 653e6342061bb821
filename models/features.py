"""From a training table to model inputs: one encoding for training, evaluation and serving.

Raw inputs are what the signatures take (strings, counts, seconds); encoded inputs are embedding
rows and scaled floats. `Encoder.encode_*` maps raw tensors to encoded ones inside the SavedModel;
`Encoder.encode_table` maps an Arrow table through the same code.
"""

from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from events import schema
from models.lookup import Lookup

HISTORY = 50
DAY_SECONDS = 86_400

USER_STRINGS = ("country", "age_band", "plan")
USER_COUNTS = ("user_plays_7d", "user_plays_28d")
USER_RATES = ("user_skip_rate_7d", "user_skip_rate_28d")
USER_VECTORS = ("genre_shares", "content_type_shares")
SESSION_COUNTS = ("session_plays", "session_skips")
ITEM_STRINGS = ("item_id", "creator_id", "content_type", "language")
ITEM_COUNTS = ("item_plays_7d", "item_plays_28d", "duration_s")
ITEM_RATES = ("item_skip_rate_28d", "item_like_rate_28d", "item_trend")
REQUEST = ("genre_affinity", "age_at_request_days")

BUCKETS = {"item_id": 64, "creator_id": 32}  # out-of-vocabulary rows; one for the others


@dataclass(frozen=True)
class Axes:
    """What the encoder needs to know of the data: vocabularies of the training span, vector widths."""

    tokens: dict[str, list[str]]
    genres: int
    content_types: int

    def to_dict(self) -> dict:
        """JSON-ready."""
        return asdict(self)


def fit_axes(train: pa.Table) -> Axes:
    """Vocabularies of the training span, each sorted, and the widths of the share vectors.

    Args:
        train: the training part of a training set.
    """

    def distinct(column: pa.ChunkedArray) -> list[str]:
        return sorted(v for v in pc.unique(column).to_pylist() if v)

    tokens = {name: distinct(train[name]) for name in (*USER_STRINGS, *ITEM_STRINGS, "surface")}
    seen = set(tokens["item_id"]) | set(distinct(pc.list_flatten(train["history_items"])))
    tokens["item_id"] = sorted(seen)
    tokens["action"] = list(schema.INTERACTIONS)
    return Axes(tokens, vector_width(train["genre_weights"]), vector_width(train["content_type_shares"]))


def vector_width(column: pa.ChunkedArray) -> int:
    """The common length of a list column's rows (1 if all are null)."""
    return pc.max(pc.list_value_length(column)).as_py() or 1


def dense(column: pa.ChunkedArray, width: int) -> np.ndarray:
    """A list column as float32 `[n, width]`; null rows are zeros."""
    values = column.combine_chunks()
    out = np.zeros((len(values), width), np.float32)
    present = values.is_valid().to_numpy(zero_copy_only=False)
    flat = pc.list_flatten(values).to_numpy(zero_copy_only=False)
    out[present] = flat.reshape(-1, width)
    return out


def recent_first(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, pa.Array]:
    """Where each entry of an oldest-first list column goes in a `[n, 50]` array, most recent first.

    Returns:
        Row and column of each flattened entry, and the flattened entries.
    """
    values = column.combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
    rows = np.repeat(np.arange(len(values)), lengths)
    ends = np.cumsum(lengths)
    columns = np.repeat(ends, lengths) - 1 - np.arange(len(rows))
    return rows, columns, pc.list_flatten(values)


def number(column: pa.ChunkedArray) -> np.ndarray:
    """A numeric column as float32, null as 0."""
    return pc.fill_null(column, 0).to_numpy().astype(np.float32)


class Encoder(tf.Module):
    """Raw inputs to encoded inputs, in graph.

    Encoded query: `history` int32 `[b, 50]`, `history_action` int32 `[b, 50]`, `history_age`
    float32 `[b, 50]` (log hours), `user_ids` int32 `[b, 3]`, `user_dense` float32 `[b, d]`,
    `surface` int32 `[b]`, `session` float32 `[b, 2]`.
    Encoded item: `item_ids` int32 `[b, 4]`, `item_dense` float32 `[b, e]`.
    """

    def __init__(self, axes: Axes) -> None:
        super().__init__()
        self.axes = axes
        self.lookups = {name: Lookup(t, BUCKETS.get(name, 1)) for name, t in axes.tokens.items()}

    @property
    def user_width(self) -> int:
        """Width of `user_dense`."""
        return len(USER_COUNTS) + len(USER_RATES) + self.axes.genres + self.axes.content_types + 1

    @property
    def item_width(self) -> int:
        """Width of `item_dense`."""
        return len(ITEM_COUNTS) + len(ITEM_RATES) + self.axes.genres

    def encode_query(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Encode a query's raw features; histories come most recent first, padded with ''."""
        padding = [[0, 0], [0, HISTORY]]
        items = tf.pad(raw["history_items"], padding, constant_values="")[:, :HISTORY]  # [b, 50]
        actions = tf.pad(raw["history_actions"], padding, constant_values="")[:, :HISTORY]
        times = tf.pad(raw["history_times"], padding)[:, :HISTORY]
        items.set_shape([None, HISTORY])
        return {
            "history": self.lookups["item_id"](items),
            "history_action": self.lookups["action"](actions),
            **self.query_floats(raw, times, tf.not_equal(items, "")),
            "user_ids": tf.stack([self.lookups[n](raw[n]) for n in USER_STRINGS], axis=1),
            "surface": self.lookups["surface"](raw["surface"]),
        }

    def query_floats(self, raw, times, present) -> dict[str, tf.Tensor]:
        """The float part of a query: scaled counts, ages of the history in log hours."""
        seconds = tf.maximum(raw["request_ts"][:, None] - times, 0)
        hours = tf.math.log1p(tf.cast(seconds, tf.float32) / 3600.0)
        age = tf.where(present, hours, 0.0)  # [b, 50]
        user = tf.concat(
            [
                tf.math.log1p(tf.stack([raw[n] for n in USER_COUNTS], axis=1)),
                tf.stack([raw[n] for n in USER_RATES], axis=1),
                *(raw[n] for n in USER_VECTORS),
                tf.where(present[:, :1], age[:, :1], 8.0) / 8.0,  # log hours since the last one
            ],
            axis=1,
        )
        session = tf.math.log1p(tf.stack([raw[n] for n in SESSION_COUNTS], axis=1))
        return {"history_age": age, "user_dense": user, "session": session}

    def encode_item(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Encode an item's raw features, each `[n]` (`genre_weights` `[n, genres]`)."""
        return {
            "item_ids": tf.stack([self.lookups[n](raw[n]) for n in ITEM_STRINGS], axis=1),
            "item_dense": self.item_floats(raw),
        }

    def item_floats(self, raw) -> tf.Tensor:
        """Scaled item statistics and genre weights `[n, e]`."""
        return tf.concat(
            [
                tf.math.log1p(tf.stack([raw[n] for n in ITEM_COUNTS], axis=1)),
                tf.stack([raw[n] for n in ITEM_RATES], axis=1),
                raw["genre_weights"],
            ],
            axis=1,
        )

    def query_table(self, table: pa.Table) -> dict[str, np.ndarray]:
        """Encode the query columns of a training table; the rows stay in order."""
        rows, columns, items = recent_first(table["history_items"])
        history, action = (np.zeros((table.num_rows, HISTORY), np.int32) for _ in range(2))
        times = np.zeros((table.num_rows, HISTORY), np.int64)
        history[rows, columns] = self.lookups["item_id"].encode(items)
        action[rows, columns] = self.lookups["action"].encode(recent_first(table["history_actions"])[2])
        times[rows, columns] = recent_first(table["history_times"])[2].to_numpy()
        raw = {name: number(table[name]) for name in (*USER_COUNTS, *USER_RATES, *SESSION_COUNTS)}
        raw["genre_shares"] = dense(table["genre_shares"], self.axes.genres)
        raw["content_type_shares"] = dense(table["content_type_shares"], self.axes.content_types)
        raw["request_ts"] = seconds(table["ts"])
        floats = self.query_floats(raw, times, history != 0)
        return {
            "history": history,
            "history_action": action,
            **{name: value.numpy() for name, value in floats.items()},
            "user_ids": np.stack([self.lookups[n].encode(table[n]) for n in USER_STRINGS], axis=1),
            "surface": self.lookups["surface"].encode(table["surface"]),
        }

    def item_table(self, table: pa.Table) -> dict[str, np.ndarray]:
        """Encode the item columns of a table; the rows stay in order."""
        raw = {name: number(table[name]) for name in (*ITEM_COUNTS, *ITEM_RATES)}
        raw["genre_weights"] = dense(table["genre_weights"], self.axes.genres)
        return {
            "item_ids": np.stack([self.lookups[n].encode(table[n]) for n in ITEM_STRINGS], axis=1),
            "item_dense": self.item_floats(raw).numpy(),
        }


def seconds(column: pa.ChunkedArray) -> np.ndarray:
    """A timestamp column as whole seconds since the epoch, int64."""
    return column.combine_chunks().cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy() // 1_000_000


def request_dense(affinity: tf.Tensor, age_days: tf.Tensor) -> tf.Tensor:
    """What the pairing tells, scaled: `[..., 3]` of affinity, log age, and whether the age is known."""
    known = tf.cast(age_days >= 0, tf.float32)
    return tf.stack([affinity, tf.math.log1p(tf.maximum(age_days, 0.0)) / 8.0, known], axis=-1)

"""From a training table to model inputs: one encoding for training, evaluation and serving.

Raw inputs are what the signatures take (strings, counts, seconds); encoded inputs are embedding
rows and scaled floats. `Encoder.encode_*` maps raw tensors to encoded ones inside the SavedModel;
`Encoder.*_table` maps an Arrow table through the same code.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from events import schema
from models.inputs.arrow_columns import dense, number, recent_first, seconds, vector_width
from models.inputs.catalogue import ITEM_STRINGS, Catalogue
from models.inputs.vocabulary import Lookup

HISTORY = 50
DAY_SECONDS = 86_400

USER_STRINGS = ("country", "age_band", "plan")
USER_COUNTS = ("user_plays_7d", "user_plays_28d")
USER_RATES = ("user_skip_rate_7d", "user_skip_rate_28d")
USER_VECTORS = ("genre_shares", "content_type_shares")
SESSION_COUNTS = ("session_plays", "session_skips")
ITEM_COUNTS = ("item_plays_7d", "item_plays_28d")
ITEM_RATES = ("item_skip_rate_28d", "item_like_rate_28d", "item_trend")
AGE = "age_at_request_days"
ITEM_STATS = (*ITEM_COUNTS, *ITEM_RATES, AGE)  # what changes of an item from day to day
AGE_COLUMNS = -2  # of the encoded statistics: the last two, log age and whether it is known
REQUEST = ("genre_affinity", AGE)

QUERY_INPUTS = ("history", "history_action", "history_age", "user_ids", "user_dense", "surface", "session", "clock")
CLOCK = 4  # hour of the day and day of the week, as points on a circle


@dataclass(frozen=True)
class Axes:
    """What the encoder needs to know of the data: vocabularies of the training span, vector widths."""

    tokens: dict[str, list[str]]
    genres: int
    content_types: int

    def to_dict(self) -> dict:
        """JSON-ready."""
        return asdict(self)


AXES_COLUMNS = [*USER_STRINGS, *ITEM_STRINGS, "surface", "history_items", "genre_weights", "content_type_shares"]


def fit_axes(train: Iterable[pa.Table]) -> Axes:
    """Vocabularies of the training span, each sorted, and the widths of the share vectors.

    Args:
        train: the training part of a training set, in chunks; `AXES_COLUMNS` are read.
    """
    names = (*USER_STRINGS, *ITEM_STRINGS, "surface")
    seen: dict[str, set[str]] = {name: set() for name in names}
    genres, types = 1, 1
    for chunk in train:
        for name in names:
            seen[name].update(pc.unique(chunk[name]).to_pylist())
        seen["item_id"].update(pc.unique(pc.list_flatten(chunk["history_items"])).to_pylist())
        genres = max(genres, vector_width(chunk["genre_weights"]))
        types = max(types, vector_width(chunk["content_type_shares"]))
    tokens = {name: sorted(v for v in values if v) for name, values in seen.items()}
    tokens["action"] = list(schema.INTERACTIONS)
    return Axes(tokens, genres, types)


def item_stats(table: pa.Table) -> dict[str, np.ndarray]:
    """The raw statistics of a table's items, float32 `[n]` each; an unknown age is -1."""
    known = {name: number(table[name]) for name in (*ITEM_COUNTS, *ITEM_RATES)}
    return {**known, AGE: pc.fill_null(table[AGE], -1).to_numpy().astype(np.float32)}


class Encoder(tf.Module):
    """Raw inputs to encoded inputs, in graph.

    Encoded query: `history` int32 `[b, 50]` (rows of the catalogue), `history_action` int32 `[b, 50]`,
    `history_age` float32 `[b, 50]` (log hours), `user_ids` int32 `[b, 3]`, `user_dense` float32
    `[b, d]`, `surface` int32 `[b]`, `session` float32 `[b, 2]`, `clock` float32 `[b, 4]`.
    Encoded item: `item` int32 `[b]` (row of the catalogue), `item_stats` float32 `[b, 7]`.

    Args:
        axes: vocabularies of the training span.
        items: the catalogue, with `item_id` and what is known of each item.
    """

    def __init__(self, axes: Axes, items: pa.Table) -> None:
        super().__init__()
        self.axes = axes
        self.lookups = {name: Lookup(t) for name, t in axes.tokens.items()}
        self.catalogue = Catalogue(self.lookups, axes.genres, items)

    @property
    def user_width(self) -> int:
        """Width of `user_dense`."""
        return len(USER_COUNTS) + len(USER_RATES) + self.axes.genres + self.axes.content_types + 1

    @property
    def stats_width(self) -> int:
        """Width of `item_stats`."""
        return len(ITEM_STATS) + 1

    def encode_query(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Encode a query's raw features; histories come most recent first, padded with ''."""
        padding = [[0, 0], [0, HISTORY]]
        items = tf.pad(raw["history_items"], padding, constant_values="")[:, :HISTORY]  # [b, 50]
        actions = tf.pad(raw["history_actions"], padding, constant_values="")[:, :HISTORY]
        times = tf.pad(raw["history_times"], padding)[:, :HISTORY]
        items.set_shape([None, HISTORY])
        history = self.catalogue.rows(items)
        return {
            "history": history,
            "history_action": self.lookups["action"](actions),
            **self.query_floats(raw, times, history != 0),
            "user_ids": tf.stack([self.lookups[n](raw[n]) for n in USER_STRINGS], axis=1),
            "surface": self.lookups["surface"](raw["surface"]),
        }

    def query_floats(self, raw, times, present) -> dict[str, tf.Tensor]:
        """The float inputs of a query from its raw features.

        Args:
            raw: counts, rates and vectors, and `request_ts` in seconds.
            times: when each entry of the history was, int64 `[b, 50]` seconds.
            present: which entries there are, bool `[b, 50]`.
        """
        age = tf.cast(tf.maximum(raw["request_ts"][:, None] - times, 0), tf.float32) / 3600.0
        age = tf.where(present, tf.math.log1p(age), 0.0)
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
        return {"history_age": age, "user_dense": user, "session": session, "clock": clock(raw["request_ts"])}

    def encode_stats(self, raw) -> tf.Tensor:
        """Scaled item statistics `[..., 7]` from `ITEM_STATS`, each `[...]`."""
        age = raw[AGE]
        known = [
            *(tf.math.log1p(raw[n]) for n in ITEM_COUNTS),
            *(raw[n] for n in ITEM_RATES),
            tf.math.log1p(tf.maximum(age, 0.0)) / 8.0,
            tf.cast(age >= 0, tf.float32),
        ]
        return tf.stack([tf.convert_to_tensor(value, tf.float32) for value in known], axis=-1)

    def encode_item(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Encode items: `item_id` string `[n]` and `ITEM_STATS` `[n]`; the rest the catalogue knows."""
        return {"item": self.catalogue.rows(raw["item_id"]), "item_stats": self.encode_stats(raw)}

    def query_table(self, table: pa.Table) -> dict[str, np.ndarray]:
        """Encode the query columns of a training table; the rows stay in order."""
        rows, columns, items = recent_first(table["history_items"])
        history, action = (np.zeros((table.num_rows, HISTORY), np.int32) for _ in range(2))
        times = np.zeros((table.num_rows, HISTORY), np.int64)
        history[rows, columns] = self.catalogue.encode(items)
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
        return {
            "item": self.catalogue.encode(table["item_id"]),
            "item_stats": self.encode_stats(item_stats(table)).numpy(),
        }


def clock(ts: tf.Tensor) -> tf.Tensor:
    """Hour of the day and day of the week (UTC) of int64 seconds `[b]`, each as sine and cosine: `[b, 4]`."""
    turns = [tf.cast(ts % period, tf.float32) / period for period in (DAY_SECONDS, 7 * DAY_SECONDS)]
    return tf.stack([f(2 * np.pi * turn) for turn in turns for f in (tf.sin, tf.cos)], axis=1)


def request_dense(affinity: tf.Tensor, age_days: tf.Tensor) -> tf.Tensor:
    """What the pairing tells, scaled: `[..., 3]` of affinity, log age, and whether the age is known."""
    known = tf.cast(age_days >= 0, tf.float32)
    return tf.stack([affinity, tf.math.log1p(tf.maximum(age_days, 0.0)) / 8.0, known], axis=-1)

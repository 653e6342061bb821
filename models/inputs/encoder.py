"""The encoding of model inputs, shared by training, evaluation and serving.

The signatures of a saved model take raw inputs: strings, counts, seconds. The model reads encoded inputs: embedding
rows and scaled floats. `Encoder.encode_*` encodes raw tensors inside the SavedModel; `Encoder.*_table` encodes an Arrow
table with the same functions.
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
from models.inputs.item_age import AGE, DAY_SECONDS, age_column, encode_age
from models.inputs.vocabulary import Lookup

HISTORY = 50  # entries of a history, as many as the feature store holds
HOUR_SECONDS = 3600.0

USER_STRINGS = ("country", "age_band", "plan")
USER_COUNTS = ("user_plays_7d", "user_plays_28d")
USER_RATES = ("user_skip_rate_7d", "user_skip_rate_28d")
USER_VECTORS = ("genre_shares", "content_type_shares")
SESSION_COUNTS = ("session_plays", "session_skips")
ITEM_COUNTS = ("item_plays_7d", "item_plays_28d")
ITEM_RATES = ("item_skip_rate_28d", "item_like_rate_28d", "item_trend")
ITEM_STATS = (*ITEM_COUNTS, *ITEM_RATES, AGE)  # the features of an item that change from day to day
AGE_COLUMNS = -2  # encoded statistics end with two columns of the age: `stats[..., AGE_COLUMNS:]`
REQUEST = ("genre_affinity", AGE)  # the features of a listener and an item together
# The arrays of an encoded query, the same for all candidates of a request.
QUERY_INPUTS = ("history", "history_action", "history_age", "user_ids", "user_dense", "surface", "session", "clock")


@dataclass(frozen=True)
class Axes:
    """The properties of the data that fix the encoding, so that every model of a run encodes alike.

    Attributes:
        tokens: the vocabulary of each string column, from the train span.
        genres: width of genre vectors.
        content_types: width of content type vectors.
    """

    tokens: dict[str, list[str]]
    genres: int
    content_types: int

    def to_dict(self) -> dict:
        """The attributes as JSON types."""
        return asdict(self)


AXES_COLUMNS = [*USER_STRINGS, *ITEM_STRINGS, "surface", "history_items", "genre_weights", "content_type_shares"]


def fit_axes(train: Iterable[pa.Table]) -> Axes:
    """Collect the sorted vocabularies of the train span and the widths of its vectors.

    Args:
        train: the train span of a training set, in chunks that have at least `AXES_COLUMNS`.
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
    """The raw statistics of a table's items by name, float32 `[n]` each: nulls are 0, an unknown age is -1."""
    stats = {name: number(table[name]) for name in (*ITEM_COUNTS, *ITEM_RATES)}
    return {**stats, AGE: age_column(table)}


class Encoder(tf.Module):
    """Encodes raw inputs as model inputs, in graph, so that the SavedModel encodes a request as training did.

    Encoded query: `history` int32 `[b, 50]` (rows of the catalogue), `history_action` int32 `[b, 50]`,
    `history_age` float32 `[b, 50]` (log hours), `user_ids` int32 `[b, 3]`, `user_dense` float32
    `[b, d]`, `surface` int32 `[b]`, `session` float32 `[b, 2]`, `clock` float32 `[b, 4]`.
    Encoded item: `item` int32 `[b]` (row of the catalogue), `item_stats` float32 `[b, 7]`.

    Args:
        axes: vocabularies of the train span and vector widths.
        items: the catalogue; see `Catalogue.columns`.
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
        """Encode raw queries.

        Args:
            raw: the inputs that `raw_query.query_specs` describes.

        Returns:
            The encoded query that the class describes.
        """
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
        """Encode the float inputs of queries: `history_age`, `user_dense`, `session` and `clock`.

        Args:
            raw: counts, rates, vectors and `request_ts` (seconds since 1970 UTC), by name.
            times: time of each history entry, int64 `[b, 50]`, seconds since 1970 UTC.
            present: marks the places that hold an entry of the catalogue, bool `[b, 50]`.
        """
        age = tf.cast(tf.maximum(raw["request_ts"][:, None] - times, 0), tf.float32) / HOUR_SECONDS
        age = tf.where(present, tf.math.log1p(age), 0.0)
        user = tf.concat(
            [
                tf.math.log1p(tf.stack([raw[n] for n in USER_COUNTS], axis=1)),
                tf.stack([raw[n] for n in USER_RATES], axis=1),
                *(raw[n] for n in USER_VECTORS),
                # Log hours since the newest entry, scaled; 1 (about 124 days) where the history is empty.
                tf.where(present[:, :1], age[:, :1], 8.0) / 8.0,
            ],
            axis=1,
        )
        session = tf.math.log1p(tf.stack([raw[n] for n in SESSION_COUNTS], axis=1))
        return {"history_age": age, "user_dense": user, "session": session, "clock": clock(raw["request_ts"])}

    def encode_stats(self, raw) -> tf.Tensor:
        """Encode item statistics as `[..., 7]`: log counts, rates, and the two figures of `encode_age`.

        Args:
            raw: `ITEM_STATS` by name, each `[...]`.
        """
        stats = [
            *(tf.math.log1p(raw[n]) for n in ITEM_COUNTS),
            *(raw[n] for n in ITEM_RATES),
            *encode_age(raw[AGE]),
        ]
        return tf.stack([tf.convert_to_tensor(value, tf.float32) for value in stats], axis=-1)

    def encode_item(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Encode items: `item` int32 `[n]` and `item_stats` float32 `[n, 7]`.

        Args:
            raw: `item_id` string `[n]` and `ITEM_STATS` `[n]`. The catalogue holds the content of the items.
        """
        return {"item": self.catalogue.rows(raw["item_id"]), "item_stats": self.encode_stats(raw)}

    def query_table(self, table: pa.Table) -> dict[str, np.ndarray]:
        """Encode the query columns of a training table, row by row."""
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
        """Encode the item columns of a table, row by row."""
        return {
            "item": self.catalogue.encode(table["item_id"]),
            "item_stats": self.encode_stats(item_stats(table)).numpy(),
        }


def clock(ts: tf.Tensor) -> tf.Tensor:
    """Encode times as the hour of the day and the day of the week (UTC), each as sine and cosine: `[b, 4]`.

    Args:
        ts: seconds since 1970 UTC, int64 `[b]`.
    """
    turns = [tf.cast(ts % period, tf.float32) / period for period in (DAY_SECONDS, 7 * DAY_SECONDS)]
    return tf.stack([f(2 * np.pi * turn) for turn in turns for f in (tf.sin, tf.cos)], axis=1)


def request_dense(affinity: tf.Tensor, age_days: tf.Tensor) -> tf.Tensor:
    """Encode the features of a listener and an item together: `[..., 3]`.

    Args:
        affinity: genre affinity, float32 `[...]`.
        age_days: age of the item at the request, `[...]`; -1 where unknown.

    Returns:
        The affinity, then the two figures of `encode_age`.
    """
    return tf.stack([affinity, *encode_age(age_days)], axis=-1)

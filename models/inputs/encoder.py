"""The encoding of model inputs, shared by training, evaluation and serving.

The signatures of a saved model take raw inputs: strings, counts, seconds. The model reads encoded inputs: embedding
rows and scaled floats. `Encoder.encode_*` encodes raw tensors inside the SavedModel; `Encoder.*_table` encodes an Arrow
table with the same functions.
"""

import numpy as np
import pyarrow as pa
import tensorflow as tf

from models.inputs.arrow_columns import dense, number, recent_first, seconds
from models.inputs.axes import Axes
from models.inputs.catalogue import Catalogue
from models.inputs.feature_names import (
    AGE,
    HISTORY,
    ITEM_COUNTS,
    ITEM_RATES,
    ITEM_STATS,
    QUERY_NUMBERS,
    SESSION_COUNTS,
    USER_COUNTS,
    USER_RATES,
    USER_STRINGS,
    USER_VECTORS,
)
from models.inputs.item_age import DAY_SECONDS, encode_age
from models.inputs.raw_query import item_stats
from models.inputs.vocabulary import Lookup

HOUR_SECONDS = 3600.0


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

        A number that cannot be a listener's counts as unknown; see `known_numbers`.

        Returns:
            The encoded query that the class describes.

        Raises:
            tf.errors.InvalidArgumentError: the histories differ in length.
        """
        demand_one_length(raw)
        raw = known_numbers(raw)
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


def known_numbers(raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Replace a listener's numbers that are NaN, infinite or negative by 0, which stands for unknown.

    Otherwise one NaN of the feature store would make all scores of the request NaN.
    """
    numbers = {name: raw[name] for name in (*QUERY_NUMBERS, *USER_VECTORS)}
    return {**raw, **{n: tf.where(tf.math.is_finite(v) & (v >= 0), v, 0.0) for n, v in numbers.items()}}


def demand_one_length(raw: dict[str, tf.Tensor]) -> None:
    """Refuse histories of unequal length, whose entries would be taken for those of other items.

    Raises:
        tf.errors.InvalidArgumentError: `history_actions` or `history_times` is not as wide as `history_items`.
    """
    width = tf.shape(raw["history_items"])[1]
    for name in ("history_actions", "history_times"):
        rule = f"history_items and {name} must have the same number of entries: pad the shorter rows with '' and 0"
        tf.debugging.assert_equal(tf.shape(raw[name])[1], width, rule)


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

"""Query and item encoders that both models are built from."""

import numpy as np
import tensorflow as tf

from models.features import HISTORY, ITEM_STRINGS, USER_STRINGS, Encoder
from models.lookup import drop_ids

keras = tf.keras

SMALL = 8  # width of embeddings with few rows
ID_DROPOUT = 0.1
RECENT = 5  # entries of the short-term view of a history


class ItemEncoder(tf.keras.layers.Layer):
    """Ids and statistics of an item to one vector: `[..., 4]`, `[..., e]` to `[..., dim]`.

    The id embedding is added to what content and statistics say, so an unknown item is its content
    plus the vector of its out-of-vocabulary row.
    """

    def __init__(self, encoder: Encoder, dim: int) -> None:
        super().__init__()
        sizes = {name: encoder.lookups[name].size for name in ITEM_STRINGS}
        self.unknown_rows = tf.constant(encoder.lookups["item_id"].unknown_rows())
        self.ids = keras.layers.Embedding(sizes["item_id"], dim, embeddings_initializer=small_normal())
        widths = {"creator_id": dim // 2, "content_type": SMALL, "language": SMALL}
        self.others = [
            keras.layers.Embedding(sizes[n], w, embeddings_initializer=small_normal()) for n, w in widths.items()
        ]
        self.content = keras.Sequential([keras.layers.Dense(2 * dim, "relu"), keras.layers.Dense(dim)])

    def call(self, item_ids, item_dense, training=False):
        rows = tf.unstack(item_ids, axis=-1)
        first = drop_ids(rows[0], self.unknown_rows, ID_DROPOUT) if training else rows[0]
        parts = [embedding(row) for embedding, row in zip(self.others, rows[1:], strict=True)]
        return self.ids(first) + self.content(tf.concat([*parts, item_dense], axis=-1))  # [..., dim]

    def history(self, rows, training=False):
        """Embeddings of a history `[b, 50, dim]`, from the same table as the candidates'."""
        return self.ids(drop_ids(rows, self.unknown_rows, ID_DROPOUT) if training else rows)


class HistoryPooling(tf.keras.layers.Layer):
    """Pool a history by learned weights of action, age and place: `[b, 50, dim]` to `[b, 2 * dim]`.

    The first half sees all 50 entries, the second the last 5: long-term taste and the session at hand.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.action = keras.layers.Embedding(encoder.lookups["action"].size, 1)
        self.place = self.add_weight(
            "place", [HISTORY], initializer=keras.initializers.Constant(np.linspace(0, -2, HISTORY))
        )
        self.age = self.add_weight("age", [], initializer="zeros")

    def call(self, embedded, inputs):
        present = tf.cast(inputs["history"] > 0, tf.float32)  # [b, 50]
        logits = tf.squeeze(self.action(inputs["history_action"]), -1) + self.place
        weights = tf.exp(logits + self.age * inputs["history_age"]) * present
        return tf.concat([mean(embedded, weights), mean(embedded[:, :RECENT], weights[:, :RECENT])], axis=1)


def mean(embedded: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Weighted mean over a history: `[b, h, dim]`, `[b, h]` to `[b, dim]`; zeros if it is empty."""
    total = tf.reduce_sum(weights, axis=1, keepdims=True)
    return tf.einsum("bhd,bh->bd", embedded, tf.math.divide_no_nan(weights, total))


class UserEncoder(tf.keras.layers.Layer):
    """A listener's stated profile and statistics: `[b, 3]`, `[b, d]` to `[b, 3 * 8 + d]`."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.embeddings = [keras.layers.Embedding(encoder.lookups[n].size, SMALL) for n in USER_STRINGS]

    def call(self, inputs):
        rows = tf.unstack(inputs["user_ids"], axis=1)
        parts = [embedding(row) for embedding, row in zip(self.embeddings, rows, strict=True)]
        return tf.concat([*parts, inputs["user_dense"]], axis=1)


def small_normal():
    """Initial embeddings small enough that unseen rows start near neutral."""
    return keras.initializers.RandomNormal(stddev=0.05)

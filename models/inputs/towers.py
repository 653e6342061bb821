"""Query and item encoders that the models are built from.

All randomness is drawn from seeds that the model gives (`Model.stateless_seed`), so that a resumed training
equals an uninterrupted one.
"""

import numpy as np
import tensorflow as tf

from models.inputs.catalogue import ITEM_STRINGS, WORD_ROWS
from models.inputs.encoder import HISTORY, USER_STRINGS, Encoder
from models.inputs.vocabulary import drop_ids

keras = tf.keras

SMALL = 8  # width of embeddings with few rows
ID_DROPOUT = 0.1
SPREAD = 0.05  # standard deviation of initial weights that say little
VIEWS = 4  # weighted means of a history, each with weights of its own
STEEPEST = 6.0  # how much less the oldest entry weighs in the view of the latest ones, as a logit


class ItemEncoder(tf.keras.layers.Layer):
    """Rows of the catalogue to vectors: `[...]` to `[..., dim]`.

    The id embedding is added to what content and statistics say, so an unknown item is its content
    plus the vector of its out-of-vocabulary row.
    """

    def __init__(self, encoder: Encoder, dim: int) -> None:
        super().__init__()
        self.catalogue = encoder.catalogue
        self.unknown_rows = tf.constant(encoder.lookups["item_id"].unknown_rows())
        self.embeddings = [embedding(encoder.lookups[name].size, dim) for name in ITEM_STRINGS]
        self.words = embedding(WORD_ROWS, dim)
        self.content = keras.layers.Dense(dim, use_bias=False, kernel_initializer=small_normal())
        self.hidden = keras.layers.Dense(32, "relu")
        self.stats = keras.layers.Dense(dim, kernel_initializer=small_normal())

    def static(self, rows: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """What does not change from day to day: rows `[n]` to `[n, dim]`.

        Args:
            rows: of the catalogue.
            seed: of id dropout; None drops nothing.
        """
        ids = tf.unstack(tf.gather(self.catalogue.item_ids, rows), axis=1)
        if seed is not None:
            ids[0] = drop_ids(ids[0], self.unknown_rows, ID_DROPOUT, seed)
        parts = [table(one) for table, one in zip(self.embeddings, ids, strict=True)]
        words = tf.gather(self.catalogue.words, rows)  # [n, 12]
        text = mean_rows(self.words, words)
        return tf.add_n([*parts, text, self.content(tf.gather(self.catalogue.content, rows))])

    def dynamic(self, stats: tf.Tensor) -> tf.Tensor:
        """What statistics `[..., 7]` add: `[..., dim]`."""
        return self.stats(self.hidden(stats))

    def distinct(self, rows: list[tf.Tensor], seed: tf.Tensor | None = None) -> list[tf.Tensor]:
        """`static` of several tensors of rows, each distinct row embedded once: `[...]` to `[..., dim]` each."""
        unique, places = tf.unique(tf.concat([tf.reshape(part, [-1]) for part in rows], axis=0))
        embedded = self.static(unique, seed) * tf.cast(unique > 0, tf.float32)[:, None]
        pieces = tf.split(places, [tf.size(part) for part in rows])
        return [
            tf.reshape(tf.gather(embedded, p), [*s, embedded.shape[1]])
            for p, s in zip(pieces, shapes(rows), strict=True)
        ]

    def vocabulary(self) -> dict[str, list[tf.Variable]]:
        """Embeddings by the vocabulary that their rows stand for."""
        return {name: [table.embeddings] for name, table in zip(ITEM_STRINGS, self.embeddings, strict=True)}


def shapes(tensors: list[tf.Tensor]) -> list[list]:
    """The shape of each tensor, static where it is known."""
    return [[s if s is not None else tf.shape(t)[i] for i, s in enumerate(t.shape)] for t in tensors]


class HistoryPooling(tf.keras.layers.Layer):
    """Views of a history: means whose weights are learned, from all that was heard to what was heard last.

    An entry's weight depends on its action, its age, its place, the surface of the request, and what it is.
    `[b, 50, dim]` to `[b, views, dim]`.
    """

    def __init__(self, encoder: Encoder, dim: int) -> None:
        super().__init__()
        actions, surfaces = encoder.lookups["action"].size, encoder.lookups["surface"].size
        slopes = np.linspace(0, -STEEPEST, VIEWS)
        self.place = self.add_weight(
            "place",
            [HISTORY, VIEWS],
            initializer=keras.initializers.Constant(np.outer(np.linspace(0, 1, HISTORY), slopes)),
        )
        self.action = self.add_weight("action", [surfaces, actions, VIEWS], initializer="zeros")
        self.age = self.add_weight("age", [VIEWS], initializer="zeros")
        self.key = self.add_weight("key", [dim, VIEWS], initializer="zeros")

    def call(self, embedded, inputs):
        present = tf.cast(inputs["history"] > 0, tf.float32)  # [b, 50]
        actions = tf.gather(tf.gather(self.action, inputs["surface"]), inputs["history_action"], batch_dims=1)
        logits = actions + self.place + self.age * inputs["history_age"][..., None]
        logits += tf.einsum("bhd,dv->bhv", embedded, self.key)
        weights = tf.exp(logits - tf.reduce_max(logits, axis=1, keepdims=True)) * present[..., None]
        weights = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=1, keepdims=True))
        return tf.matmul(weights, embedded, transpose_a=True)  # [b, views, dim]


def mean_rows(table: tf.keras.layers.Embedding, rows: tf.Tensor) -> tf.Tensor:
    """The mean of an embedding's rows `[n, w]`, 0 being none: `[n, dim]`; zeros if all are.

    One operation each way: the rows `[n, w, dim]` are never held, nor their gradients.
    """
    if not table.built:
        table.build(rows.shape)
    there = rows > 0
    own = tf.cast(tf.where(there)[:, 0], tf.int32)
    return tf.sparse.segment_mean(tf.convert_to_tensor(table.embeddings), rows[there], own, tf.shape(rows)[0])


class ContextEncoder(tf.keras.layers.Layer):
    """The listener's stated profile and the request's surface and time: to `[b, c]`."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.embeddings = [keras.layers.Embedding(encoder.lookups[n].size, SMALL) for n in (*USER_STRINGS, "surface")]

    def call(self, inputs):
        rows = [*tf.unstack(inputs["user_ids"], axis=1), inputs["surface"]]
        parts = [table(row) for table, row in zip(self.embeddings, rows, strict=True)]
        return tf.concat([*parts, inputs["clock"]], axis=1)

    def vocabulary(self) -> dict[str, list[tf.Variable]]:
        """Embeddings by the vocabulary that their rows stand for."""
        return {n: [t.embeddings] for n, t in zip((*USER_STRINGS, "surface"), self.embeddings, strict=True)}


def embedding(rows: int, dim: int) -> tf.keras.layers.Embedding:
    """An embedding whose unseen rows start near neutral."""
    return keras.layers.Embedding(rows, dim, embeddings_initializer=small_normal())


def small_normal():
    """Initial weights small enough that what was never seen says little."""
    return keras.initializers.RandomNormal(stddev=SPREAD)


def dropout(values: tf.Tensor, rate: float, seed: tf.Tensor | None) -> tf.Tensor:
    """Dropout with a seed, none of it without (Srivastava et al., JMLR 2014); the rate is that of the nearest 256th.

    A byte decides on a value: half the time of a float for each.
    """
    if seed is None:
        return values
    below, size = round(256 * rate), tf.size(values)
    words = tf.random.stateless_uniform([(size + 3) // 4], seed, None, None, tf.int32)
    drawn = tf.reshape(tf.reshape(tf.bitcast(words, tf.uint8), [-1])[:size], tf.shape(values))
    return tf.where(drawn >= tf.constant(below, tf.uint8), values * (256 / (256 - below)), 0.0)

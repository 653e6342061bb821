"""The layers that embed items, histories and contexts, from which the models are built.

Layers draw all randomness from seeds of the model (`Model.stateless_seed`), so that a resumed training gives the same
weights as an uninterrupted training.
"""

import numpy as np
import tensorflow as tf

from models.inputs.catalogue import WORD_ROWS
from models.inputs.encoder import Encoder
from models.inputs.feature_names import HISTORY, ITEM_STRINGS, USER_STRINGS
from models.inputs.vocabulary import drop_ids

keras = tf.keras

SMALL = 8  # width of embeddings with few rows
ID_DROPOUT = 0.1  # share of item ids that training replaces by out-of-vocabulary rows
SPREAD = 0.05  # standard deviation of small initial weights
VIEWS = 4  # weighted means of a history, each with weights of its own
STEEPEST = 6.0  # in the most recent view, the oldest entry's logit starts this far below the newest entry's


class ItemEncoder(tf.keras.layers.Layer):
    """Embeds items: rows of the catalogue `[...]` become vectors `[..., dim]`.

    An item's vector is the sum of embeddings of its id, content and statistics. An item outside the vocabulary has the
    embedding of an out-of-vocabulary row in place of its id, and is told apart by its content.
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
        """Embed ids and content, which do not change from day to day: `[n, dim]`.

        Args:
            rows: rows of the catalogue, int32 `[n]`.
            seed: seed of id dropout; None drops no id.
        """
        ids = tf.unstack(tf.gather(self.catalogue.item_ids, rows), axis=1)
        if seed is not None:
            ids[0] = drop_ids(ids[0], self.unknown_rows, ID_DROPOUT, seed)
        parts = [table(column) for table, column in zip(self.embeddings, ids, strict=True)]
        words = tf.gather(self.catalogue.words, rows)  # [n, 12]
        text = mean_rows(self.words, words)
        return tf.add_n([*parts, text, self.content(tf.gather(self.catalogue.content, rows))])

    def dynamic(self, stats: tf.Tensor) -> tf.Tensor:
        """Embed encoded statistics `[..., 7]`: `[..., dim]`, to be added to `static`."""
        return self.stats(self.hidden(stats))

    def distinct(self, rows: list[tf.Tensor], seed: tf.Tensor | None = None) -> list[tf.Tensor]:
        """Embed several tensors of rows by `static`, each distinct row once; row 0 becomes zeros.

        Args:
            rows: rows of the catalogue, int32 `[...]` each.
            seed: seed of id dropout; None drops no id. An id is dropped in all its places or in none.

        Returns:
            A tensor `[..., dim]` for each tensor of rows.
        """
        unique, places = tf.unique(tf.concat([tf.reshape(part, [-1]) for part in rows], axis=0))
        embedded = self.static(unique, seed) * tf.cast(unique > 0, tf.float32)[:, None]
        pieces = tf.split(places, [tf.size(part) for part in rows])
        return [
            tf.reshape(tf.gather(embedded, piece), [*shape, embedded.shape[1]])
            for piece, shape in zip(pieces, shapes(rows), strict=True)
        ]

    def vocabulary(self) -> dict[str, list[tf.Variable]]:
        """The embedding tables by the name of the vocabulary that indexes their rows."""
        return {name: [table.embeddings] for name, table in zip(ITEM_STRINGS, self.embeddings, strict=True)}


def shapes(tensors: list[tf.Tensor]) -> list[list]:
    """The shape of each tensor, with static sizes where they are defined."""
    return [[s if s is not None else tf.shape(t)[i] for i, s in enumerate(t.shape)] for t in tensors]


class HistoryPooling(tf.keras.layers.Layer):
    """Pools a history into a few views, because one mean would hide either the long-term taste or the last entries.

    Each view is a weighted mean of the entries: `[b, 50, dim]` becomes `[b, views, dim]`. The weights are learned and
    depend on an entry's action, age, place and embedding and on the surface of the request. They start as a plain mean
    in the first view and favour recent entries more from view to view.
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
    """The mean of an embedding's rows, without padding (row 0); zeros where a line is all padding.

    One operation computes the mean and one its gradient, so neither the embedded rows `[n, w, dim]` nor their gradients
    are held in memory.

    Args:
        table: the embedding.
        rows: int32 `[n, w]`.

    Returns:
        `[n, dim]`.
    """
    if not table.built:
        table.build(rows.shape)
    present, count = rows > 0, tf.shape(rows)[0]
    line = tf.cast(tf.where(present)[:, 0], tf.int32)
    # A last segment of row 0: with no segment at all TensorFlow leaves the gradient uninitialised.
    picked, segments = tf.concat([rows[present], [0]], axis=0), tf.concat([line, [count]], axis=0)
    return tf.sparse.segment_mean(tf.convert_to_tensor(table.embeddings), picked, segments, count + 1)[:count]


class ContextEncoder(tf.keras.layers.Layer):
    """Embeds the listener's profile (country, age band, plan) and the request's surface and time: `[b, c]`."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.embeddings = [keras.layers.Embedding(encoder.lookups[n].size, SMALL) for n in (*USER_STRINGS, "surface")]

    def call(self, inputs):
        rows = [*tf.unstack(inputs["user_ids"], axis=1), inputs["surface"]]
        parts = [table(row) for table, row in zip(self.embeddings, rows, strict=True)]
        return tf.concat([*parts, inputs["clock"]], axis=1)

    def vocabulary(self) -> dict[str, list[tf.Variable]]:
        """The embedding tables by the name of the vocabulary that indexes their rows."""
        return {n: [t.embeddings] for n, t in zip((*USER_STRINGS, "surface"), self.embeddings, strict=True)}


def embedding(rows: int, dim: int) -> tf.keras.layers.Embedding:
    """An embedding layer with small initial weights; see `small_normal`."""
    return keras.layers.Embedding(rows, dim, embeddings_initializer=small_normal())


def small_normal():
    """An initializer with small weights, so that rows which training never meets add little to a sum."""
    return keras.initializers.RandomNormal(stddev=SPREAD)


def dropout(values: tf.Tensor, rate: float, seed: tf.Tensor | None) -> tf.Tensor:
    """Apply dropout (Srivastava et al., JMLR 2014) with a seed; without a seed, return the values unchanged.

    The rate is rounded to a multiple of 1/256, so that one random byte decides for each value. This takes half the time
    of a random float for each value.
    """
    if seed is None:
        return values
    threshold, size = round(256 * rate), tf.size(values)
    words = tf.random.stateless_uniform([(size + 3) // 4], seed, None, None, tf.int32)
    random_bytes = tf.reshape(tf.reshape(tf.bitcast(words, tf.uint8), [-1])[:size], tf.shape(values))
    scale = 256 / (256 - threshold)
    return tf.where(random_bytes >= tf.constant(threshold, tf.uint8), values * scale, 0.0)

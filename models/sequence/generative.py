"""The generative head: the codes of what comes next, one after the other, and the search for the likeliest.

TIGER (Rajput et al., NeurIPS 2023) with the transformer that scores items in place of one of its own: each level is
a softmax over the codes that some item has after the codes so far.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from models.sequence.attention import RMSNorm
from models.sequence.losses import ACCIDENTAL, mean

keras = tf.keras


class CodeTree(tf.Module):
    """Which codes follow which, and the items at the ends: tables, so that decoding is stock operations.

    Args:
        codes: of each item, distinct rows, int `[items, levels]`.
        rows: of the catalogue, int `[items]`, from 1.
    """

    def __init__(self, codes: np.ndarray, rows: np.ndarray) -> None:
        super().__init__()
        self.sizes = (codes.max(axis=0) + 1).tolist()
        tables, below = [], []
        prefix = np.zeros(len(codes), np.int64)  # the number of the prefix of each item; the root is 0
        for level, size in enumerate(self.sizes):
            keys, children, counts = np.unique(prefix * size + codes[:, level], return_inverse=True, return_counts=True)
            table = np.zeros((int(prefix.max()) + 1, size), np.int32)
            mass = np.zeros(table.shape, np.float32)
            mass[keys // size, keys % size] = np.log(counts)
            # 0 is no child; inner prefixes are numbered from 1 here and from 0 as rows of the next table.
            last = level == len(self.sizes) - 1
            values = np.zeros(len(keys), np.int64)
            values[children] = rows if last else children + 1
            table[keys // size, keys % size] = values
            tables.append(table)
            below.append(mass)
            prefix = children
        self.tables = [tf.Variable(table, trainable=False) for table in tables]
        self.mass = [tf.Variable(mass, trainable=False) for mass in below]  # log of how many items follow
        width = int(rows.max()) + 1
        known = np.zeros((width, codes.shape[1]), np.int32)
        known[rows] = codes
        self.codes = tf.Variable(known, trainable=False)  # [rows, levels]
        self.known = tf.Variable(np.isin(np.arange(width), rows), trainable=False)


class CodeHead(tf.keras.layers.Layer):
    """States and the codes so far to logits of the next code.

    An item is scored by the product of its vector, about the sum of its centroids, with the state. So a code begins
    as its centroid, and as likely as that and the number of its items make it; what there is beyond is learned.

    Args:
        tree: of the items' codes.
        dim: width of the states.
        centroids: `[codes, dim]` of each level but the last, of vectors that are compared with the states.
    """

    def __init__(self, tree: CodeTree, dim: int, centroids: list[np.ndarray]) -> None:
        super().__init__()
        self.tree = tree
        known = [*centroids, np.zeros((tree.sizes[-1], dim))]
        self.codes = [
            self.add_weight(f"codes_{level}", [size, dim], initializer=keras.initializers.Constant(known[level][:size]))
            for level, size in enumerate(tree.sizes)
        ]
        self.norms = [RMSNorm() for _ in tree.sizes]
        self.hidden = [keras.layers.Dense(4 * dim, "silu") for _ in tree.sizes]
        self.out = [keras.layers.Dense(dim, kernel_initializer="zeros") for _ in tree.sizes]

    def logits(self, level: int, state: tf.Tensor, so_far: tf.Tensor, prefix: tf.Tensor) -> tf.Tensor:
        """Logits of a level's codes, `[n, codes]`; -1e9 for what no item has.

        Args:
            level: from 0.
            state: of the sequence, `[n, dim]`.
            so_far: the sum of the embeddings of the codes so far, `[n, dim]`.
            prefix: the number of the codes so far, `[n]`.
        """
        given = tf.concat([self.norms[level](state), so_far * state.shape[-1] ** 0.5], axis=-1)
        seen = state + self.out[level](self.hidden[level](given))
        logits = tf.matmul(seen, self.codes[level], transpose_b=True) + tf.gather(self.tree.mass[level], prefix)
        return tf.where(tf.gather(self.tree.tables[level], prefix) > 0, logits, ACCIDENTAL)

    def loss(self, state: tf.Tensor, row: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        """Mean negative log probability of items' codes, given states `[n, dim]`.

        Args:
            state: `[n, dim]`.
            row: of the item that came next, int32 `[n]`.
            weight: `[n]`; what has no codes counts nothing.
        """
        inside = tf.minimum(row, self.tree.known.shape[0] - 1)
        codes = tf.gather(self.tree.codes, inside)  # [n, levels]
        weight *= tf.cast(tf.gather(self.tree.known, inside) & (inside == row), tf.float32)
        so_far, prefix = tf.zeros_like(state), tf.zeros_like(row)
        total = tf.zeros_like(weight)
        for level, table in enumerate(self.tree.tables):
            code = codes[:, level]
            total += tf.nn.sparse_softmax_cross_entropy_with_logits(code, self.logits(level, state, so_far, prefix))
            so_far += tf.gather(self.codes[level], code)
            prefix = tf.maximum(tf.gather_nd(table, tf.stack([prefix, code], axis=1)) - 1, 0)
        return mean(total, weight)

    def search(
        self, state: tf.Tensor, width: int, allowed: Callable[[tf.Tensor], tf.Tensor] | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Beam search for the likeliest items, all of which exist.

        Args:
            state: `[b, dim]`.
            width: beams kept at each level, and answers.
            allowed: which rows of items `[b, n]` may be answered, bool of that shape; None allows all.

        Returns:
            Rows, int32 `[b, width]`, likeliest first, and their log probabilities; row 0 and -1e9 or less where
            fewer were found.
        """
        batch, dim = tf.shape(state)[0], state.shape[-1]
        likely = tf.zeros([batch, 1])
        prefix = tf.zeros([batch, 1], tf.int32)
        so_far = tf.zeros([batch, 1, dim])
        for level, table in enumerate(self.tree.tables):
            beams = tf.shape(prefix)[1]
            states = tf.reshape(tf.repeat(state[:, None], beams, axis=1), [-1, dim])
            logits = self.logits(level, states, tf.reshape(so_far, [-1, dim]), tf.reshape(prefix, [-1]))
            children = tf.reshape(tf.gather(table, tf.reshape(prefix, [-1])), [batch, -1])  # [b, beams * codes]
            scores = tf.reshape(tf.nn.log_softmax(logits), [batch, beams, -1]) + likely[:, :, None]
            scores = tf.where(children > 0, tf.reshape(scores, [batch, -1]), ACCIDENTAL)
            if level == len(self.tree.tables) - 1 and allowed is not None:
                scores = tf.where(allowed(children), scores, ACCIDENTAL)
            top = tf.math.top_k(scores, tf.minimum(width, tf.shape(scores)[1]))
            size = self.tree.sizes[level]
            likely = top.values
            reached = tf.gather(children, top.indices, batch_dims=1)
            so_far = tf.gather(so_far, top.indices // size, batch_dims=1)
            so_far += tf.gather(self.codes[level], top.indices % size)
            prefix = tf.maximum(reached - 1, 0)
        return tf.where(likely > ACCIDENTAL, reached, 0), likely

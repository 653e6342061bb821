"""Causal self-attention over a listener's entries, in the two forms that are compared.

`softmax`: Vaswani et al., NeurIPS 2017, as SASRec uses it (Kang and McAuley, ICDM 2018), with gated residuals
(LiGR: Borisyuk et al. 2025; eSASRec: Tikhonovich et al., RecSys 2025). `pointwise`: HSTU (Zhai et al., ICML 2024),
whose weights do not compete for a sum of 1.
"""

import math

import numpy as np
import tensorflow as tf

keras = tf.keras

NEAR = 16  # distances that have a bias each; longer ones share one in ranges of equal ratio
PLACE_BUCKETS, TIME_BUCKETS = 32, 32
MASKED = -1e9


class RelativeBias(tf.keras.layers.Layer):
    """What distance in places and in time adds to attention logits, learned, one figure a head and bucket.

    Buckets of places as in T5 (Raffel et al., JMLR 2020); of time by the binary logarithm of the seconds between two
    entries, as in HSTU, whose gaps end at the moment that is predicted: that is known of the last entry alone when a
    model is served.

    Args:
        heads: of the attention.
        length: of a row.
        timed: whether times are known.
    """

    def __init__(self, heads: int, length: int, timed: bool) -> None:
        super().__init__()
        self.buckets = tf.constant(place_buckets(length))
        self.place = self.add_weight("place", [PLACE_BUCKETS, heads], initializer="zeros")
        self.gap = self.add_weight("gap", [TIME_BUCKETS, heads], initializer="zeros") if timed else None

    def call(self, time: tf.Tensor) -> tf.Tensor:
        """Times `[b, l]` of the entries, seconds, to `[b or 1, heads, l, l]`."""
        length = time.shape[1]
        bias = tf.gather(self.place, self.buckets[:length, :length])[None]  # [1, l, l, heads]
        if self.gap is not None:
            bias += tf.gather(self.gap, time_buckets(time[:, :, None] - time[:, None, :]))
        return tf.transpose(bias, [0, 3, 1, 2])


def time_buckets(seconds: tf.Tensor) -> tf.Tensor:
    """The bucket of each gap, int32, by its binary logarithm; gaps below 0 count as 0."""
    gap = tf.math.log1p(tf.cast(tf.maximum(seconds, 0), tf.float32)) * (1 / math.log(2))
    return tf.minimum(tf.cast(gap, tf.int32), TIME_BUCKETS - 1)


def place_buckets(length: int) -> np.ndarray:
    """The bucket of each distance back, int32 `[length, length]`; later entries count as distance 0."""
    distance = np.maximum(np.arange(length)[:, None] - np.arange(length), 0)
    ratio = np.log(np.maximum(distance, 1) / NEAR) / math.log(max(length, NEAR + 1) / NEAR)
    far = NEAR + (ratio * (PLACE_BUCKETS - NEAR)).astype(np.int64)
    return np.where(distance < NEAR, distance, np.minimum(far, PLACE_BUCKETS - 1)).astype(np.int32)


def visible(segment: tf.Tensor) -> tf.Tensor:
    """Which entries each may look at, bool `[b, 1, l, l]`: itself and earlier ones of its own segment `[b, l]`."""
    length = segment.shape[1]
    causal = tf.constant(np.tril(np.ones((length, length), bool)))
    return (causal & (segment[:, :, None] == segment[:, None, :]))[:, None]


class RMSNorm(tf.keras.layers.Layer):
    """Division by the root mean square, with a learned scale (Zhang and Sennrich, NeurIPS 2019)."""

    def build(self, shape) -> None:
        self.scale = self.add_weight("scale", [shape[-1]], initializer="ones")

    def call(self, values):
        return values * tf.math.rsqrt(tf.reduce_mean(tf.square(values), -1, keepdims=True) + 1e-6) * self.scale


def split_heads(values: tf.Tensor, heads: int) -> tf.Tensor:
    """`[b, l, d]` to `[b, heads, l, d / heads]`."""
    length, dim = values.shape[1:]
    return tf.transpose(tf.reshape(values, [-1, length, heads, dim // heads]), [0, 2, 1, 3])


def join_heads(values: tf.Tensor) -> tf.Tensor:
    """`[b, heads, l, d / heads]` to `[b, l, d]`."""
    heads, length, width = values.shape[1:]
    return tf.reshape(tf.transpose(values, [0, 2, 1, 3]), [-1, length, heads * width])


def dense(width: int) -> tf.keras.layers.Dense:
    """A linear map without bias."""
    return keras.layers.Dense(width, use_bias=False)


class SoftmaxBlock(tf.keras.layers.Layer):
    """Pre-norm attention and SwiGLU, each added through a gate that the residual stream opens.

    Args:
        dim: width.
        heads: of the attention.
        rate: of dropout.
    """

    def __init__(self, dim: int, heads: int, rate: float) -> None:
        super().__init__()
        self.heads, self.rate = heads, rate
        self.norms = [RMSNorm(), RMSNorm()]
        self.project, self.out, self.up, self.down = dense(3 * dim), dense(dim), dense(8 * dim), dense(dim)
        self.gates = [dense(dim), dense(dim)]

    def call(self, values, bias, drop, newest=False):
        """`[b, l, dim]` to the same.

        Args:
            values: the residual stream.
            bias: added to the logits, `[b, heads, l, l]`; -1e9 where an entry may not look.
            drop: dropout of values at a rate.
            newest: whether the last entry alone is wanted, `[b, 1, dim]`.
        """
        query, key, value = (split_heads(v, self.heads) for v in tf.split(self.project(self.norms[0](values)), 3, -1))
        if newest:
            values, query, bias = values[:, -1:], query[:, :, -1:], bias[:, :, -1:]
        logits = tf.matmul(query, key, transpose_b=True) * query.shape[-1] ** -0.5 + bias  # [b, heads, l, l]
        read = self.out(join_heads(tf.matmul(tf.nn.softmax(logits), value)))
        values += drop(read * tf.sigmoid(self.gates[0](values)), self.rate)
        up, gate = tf.split(self.up(self.norms[1](values)), 2, -1)
        deep = self.down(drop(up * tf.nn.silu(gate), self.rate))
        return values + drop(deep * tf.sigmoid(self.gates[1](values)), self.rate)


class PointwiseBlock(tf.keras.layers.Layer):
    """HSTU's layer: weights by SiLU over the row's length, and the read gated by a function of the reader.

    Args:
        dim: width.
        heads: of the attention.
        rate: of dropout.
    """

    def __init__(self, dim: int, heads: int, rate: float) -> None:
        super().__init__()
        self.heads, self.rate = heads, rate
        self.norm, self.read_norm = RMSNorm(), RMSNorm()
        self.project, self.out = dense(4 * dim), dense(dim)

    def call(self, values, bias, drop, newest=False):
        """`[b, l, dim]` to the same; arguments as those of `SoftmaxBlock`."""
        gate, *rest = tf.split(tf.nn.silu(self.project(self.norm(values))), 4, -1)
        query, key, value = (split_heads(v, self.heads) for v in rest)
        if newest:
            values, gate, query, bias = values[:, -1:], gate[:, -1:], query[:, :, -1:], bias[:, :, -1:]
        logits = tf.matmul(query, key, transpose_b=True) + bias
        weights = tf.nn.silu(logits) / logits.shape[-1]  # SiLU of what is masked is 0
        read = self.read_norm(join_heads(tf.matmul(weights, value)))
        return values + drop(self.out(gate * read), self.rate)

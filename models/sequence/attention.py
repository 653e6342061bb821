"""Causal self-attention over the entries of a history, in two forms that the configuration chooses from.

`softmax` is the attention of Vaswani et al., NeurIPS 2017, as SASRec uses it (Kang and McAuley, ICDM 2018), with gated
residuals (LiGR: Borisyuk et al. 2025; eSASRec: Tikhonovich et al., RecSys 2025). `pointwise` is the attention of HSTU
(Zhai et al., ICML 2024), whose weights do not sum to 1.
"""

import math

import numpy as np
import tensorflow as tf

keras = tf.keras

NEAR = 16  # distances below this have a bucket each; longer distances share buckets whose widths grow by a ratio
PLACE_BUCKETS, TIME_BUCKETS = 32, 32
MASKED = -1e9  # logit of an entry that must not be attended to


class RelativeBias(tf.keras.layers.Layer):
    """A learned bias of attention logits by the distance of two entries, in places and in time.

    Each head has one bias for each bucket. Places are bucketed as in T5 (Raffel et al., JMLR 2020). Times are bucketed
    by the binary logarithm of the seconds between two entries. HSTU counts the seconds from an entry to the event that
    is predicted, but a served model knows the time of that event for the last entry only.

    Args:
        heads: number of attention heads.
        length: entries of a row.
        timed: whether the log states times; without them, only places are used.
    """

    def __init__(self, heads: int, length: int, timed: bool) -> None:
        super().__init__()
        self.buckets = tf.constant(place_buckets(length))
        self.place = self.add_weight("place", [PLACE_BUCKETS, heads], initializer="zeros")
        self.gap = self.add_weight("gap", [TIME_BUCKETS, heads], initializer="zeros") if timed else None

    def call(self, time: tf.Tensor) -> tf.Tensor:
        """Compute the bias of each pair of entries, `[b, heads, l, l]`; without times, `[1, heads, l, l]`.

        Args:
            time: times of the entries, seconds since 1970 UTC, int64 `[b, l]`.
        """
        length = time.shape[1]
        bias = tf.gather(self.place, self.buckets[:length, :length])[None]  # [1, l, l, heads]
        if self.gap is not None:
            bias += tf.gather(self.gap, time_buckets(time[:, :, None] - time[:, None, :]))
        return tf.transpose(bias, [0, 3, 1, 2])


def time_buckets(seconds: tf.Tensor) -> tf.Tensor:
    """The bucket of each gap, int32 of its shape: log2(1 + seconds) rounded down, 31 at most; negative gaps count as 0.

    For example, a minute is in bucket 5 and a day in bucket 16.
    """
    gap = tf.math.log1p(tf.cast(tf.maximum(seconds, 0), tf.float32)) * (1 / math.log(2))
    return tf.minimum(tf.cast(gap, tf.int32), TIME_BUCKETS - 1)


def place_buckets(length: int) -> np.ndarray:
    """The bucket of the distance from each entry back to each other, int32 `[length, length]`.

    Entries that come later count as distance 0.
    """
    distance = np.maximum(np.arange(length)[:, None] - np.arange(length), 0)
    ratio = np.log(np.maximum(distance, 1) / NEAR) / math.log(max(length, NEAR + 1) / NEAR)
    far = NEAR + (ratio * (PLACE_BUCKETS - NEAR)).astype(np.int64)
    return np.where(distance < NEAR, distance, np.minimum(far, PLACE_BUCKETS - 1)).astype(np.int32)


def visible(segment: tf.Tensor) -> tf.Tensor:
    """The attention mask, bool `[b, 1, l, l]`: an entry attends to itself and to earlier entries of its segment.

    Args:
        segment: number of the segment of each entry, `[b, l]`.
    """
    length = segment.shape[1]
    causal = tf.constant(np.tril(np.ones((length, length), bool)))
    return (causal & (segment[:, :, None] == segment[:, None, :]))[:, None]


class RMSNorm(tf.keras.layers.Layer):
    """RMSNorm (Zhang and Sennrich, NeurIPS 2019): division by the root mean square, then a learned scale."""

    def build(self, shape) -> None:
        self.scale = self.add_weight("scale", [shape[-1]], initializer="ones")

    def call(self, values):
        return values * tf.math.rsqrt(tf.reduce_mean(tf.square(values), -1, keepdims=True) + 1e-6) * self.scale


def split_heads(values: tf.Tensor, heads: int) -> tf.Tensor:
    """Split the width of `[b, l, d]` into heads: `[b, heads, l, d / heads]`."""
    length, dim = values.shape[1:]
    return tf.transpose(tf.reshape(values, [-1, length, heads, dim // heads]), [0, 2, 1, 3])


def join_heads(values: tf.Tensor) -> tf.Tensor:
    """Join heads `[b, heads, l, d / heads]`, the inverse of `split_heads`: `[b, l, d]`."""
    heads, length, width = values.shape[1:]
    return tf.reshape(tf.transpose(values, [0, 2, 1, 3]), [-1, length, heads * width])


def dense(width: int) -> tf.keras.layers.Dense:
    """A linear layer without bias."""
    return keras.layers.Dense(width, use_bias=False)


class SoftmaxBlock(tf.keras.layers.Layer):
    """A transformer block of softmax attention and SwiGLU, which both read normed values and are added through a gate.

    The gate is a sigmoid of the residual stream, so a block can leave entries as they are.

    Args:
        dim: width of the residual stream.
        heads: number of attention heads.
        rate: the dropout rate.
    """

    def __init__(self, dim: int, heads: int, rate: float) -> None:
        super().__init__()
        self.heads, self.rate = heads, rate
        self.norms = [RMSNorm(), RMSNorm()]
        self.project, self.out, self.up, self.down = dense(3 * dim), dense(dim), dense(8 * dim), dense(dim)
        self.gates = [dense(dim), dense(dim)]

    def call(self, values, bias, drop, newest=False):
        """Apply the block.

        Args:
            values: the residual stream, `[b, l, dim]`.
            bias: is added to the attention logits, `[b, heads, l, l]`; -1e9 where an entry is masked.
            drop: applies dropout: a function of values and rate.
            newest: whether only the last entry is wanted.

        Returns:
            The new residual stream, `[b, l, dim]`, or `[b, 1, dim]` if `newest`.
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
    """A block of HSTU: attention weights are SiLU of the logits, divided by the length of the row.

    What an entry reads by attention is multiplied by a gate that is computed from the entry itself.

    Args:
        dim: width of the residual stream.
        heads: number of attention heads.
        rate: the dropout rate.
    """

    def __init__(self, dim: int, heads: int, rate: float) -> None:
        super().__init__()
        self.heads, self.rate = heads, rate
        self.norm, self.read_norm = RMSNorm(), RMSNorm()
        self.project, self.out = dense(4 * dim), dense(dim)

    def call(self, values, bias, drop, newest=False):
        """Apply the block; arguments and result are those of `SoftmaxBlock.call`."""
        gate, *rest = tf.split(tf.nn.silu(self.project(self.norm(values))), 4, -1)
        query, key, value = (split_heads(v, self.heads) for v in rest)
        if newest:
            values, gate, query, bias = values[:, -1:], gate[:, -1:], query[:, :, -1:], bias[:, :, -1:]
        logits = tf.matmul(query, key, transpose_b=True) + bias
        weights = tf.nn.silu(logits) / logits.shape[-1]  # SiLU of a masked logit is 0
        read = self.read_norm(join_heads(tf.matmul(weights, value)))
        return values + drop(self.out(gate * read), self.rate)

"""Slates: consecutive examples with the same query, whose query is computed once."""

import tensorflow as tf

SLATE = 16  # the most examples of a slate in a batch; shorter slates are padded to the batch's longest


def slates(query: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Split examples into slates: consecutive examples with the same query, at most `SLATE` of them.

    For example, the queries 7, 7, 3 make two slates; the first has the examples 0 and 1, the second the example 2.

    Args:
        query: a number of the query of each example, `[b]`.

    Returns:
        The first example of each slate, int32 `[s]`, and for each example its slate and its place in the slate, int32
        `[b]` each.
    """
    starts = tf.concat([tf.ones_like(query[:1], tf.bool), query[1:] != query[:-1]], axis=0)
    place = since(starts)
    starts = place % SLATE == 0
    first = tf.cast(tf.where(starts)[:, 0], tf.int32)
    return first, tf.cumsum(tf.cast(starts, tf.int32)) - 1, place % SLATE


def since(starts: tf.Tensor) -> tf.Tensor:
    """The distance of each place to the last start at or before it, int32 `[n]`.

    Args:
        starts: bool `[n]`; the first is true. For example, true, false, true gives 0, 1, 0.
    """
    first = tf.cast(tf.where(starts)[:, 0], tf.int32)
    return tf.range(tf.size(starts)) - tf.gather(first, tf.cumsum(tf.cast(starts, tf.int32)) - 1)

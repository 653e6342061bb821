"""Losses over lists of candidates of which the listener chooses some."""

import tensorflow as tf


def listwise_softmax(logits: tf.Tensor, labels: tf.Tensor, groups: tf.Tensor) -> tf.Tensor:
    """The cross-entropy between each group's labels and the softmax of its logits, averaged over the groups.

    This is ListNet's top-one loss (Cao et al., ICML 2007) with relevance in proportion to the label (Qin et al.,
    ICLR 2021). Groups of one row and groups whose labels are all 0 are left out, because nothing was chosen there.

    Args:
        logits: `[n]`.
        labels: relevance, 0 or more, `[n]`.
        groups: the request of each row, integers in any order, `[n]`.

    Returns:
        A scalar in nats; 0 if every group is left out.
    """
    _, index = tf.unique(groups)
    count = tf.reduce_max(index) + 1
    highest = tf.math.unsorted_segment_max(logits, index, count)
    shifted = logits - tf.gather(tf.stop_gradient(highest), index)  # so that exp stays finite
    log_sum = tf.math.log(tf.math.unsorted_segment_sum(tf.exp(shifted), index, count))
    relevance = tf.math.unsorted_segment_sum(labels, index, count)  # [groups]
    share = tf.math.divide_no_nan(labels, tf.gather(relevance, index))
    surprise = tf.math.unsorted_segment_sum(share * (tf.gather(log_sum, index) - shifted), index, count)
    size = tf.math.unsorted_segment_sum(tf.ones_like(labels), index, count)
    counts = tf.cast((relevance > 0) & (size > 1), logits.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(surprise * counts), tf.reduce_sum(counts))

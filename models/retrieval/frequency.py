"""Estimates during training how often each item occurs in the stream of examples."""

import tensorflow as tf

MEMORY = 200.0  # an estimate averages over about this many gaps


class FrequencyEstimator(tf.Module):
    """Estimates the probability that the next draw is a given item, from the mean gap between the item's occurrences.

    For example, an item that occurs every 4 draws has the probability 1/4. This is algorithm 2 of Yi et al., RecSys
    2019, with two changes. Several occurrences in a batch count as several. The first gaps are averaged with equal
    weights, so the estimate is good after a few occurrences.

    Args:
        size: the number of catalogue rows.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.last = tf.Variable(tf.zeros([size]), trainable=False)  # draws up to the latest batch with the item
        self.gap = tf.Variable(
            tf.zeros([size]), trainable=False
        )  # mean gap between occurrences, in draws; 0 before the first
        self.seen = tf.Variable(tf.zeros([size]), trainable=False)  # number of occurrences
        self.draws = tf.Variable(0.0, trainable=False)

    def update(self, rows: tf.Tensor) -> None:
        """Update the estimates with a batch of draws, catalogue rows `[b]`."""
        unique, _, counts = tf.unique_with_counts(rows)
        counts = tf.cast(counts, tf.float32)
        now = self.draws + tf.cast(tf.size(rows), tf.float32)
        fresh = (now - tf.gather(self.last, unique)) / counts
        seen = tf.gather(self.seen, unique)
        # The weight of `counts` new gaps: an equal share at first, later that of an exponential moving average.
        weight = tf.maximum(counts / (seen + counts), 1.0 - tf.pow(1.0 - 1.0 / MEMORY, counts))
        old = tf.gather(self.gap, unique)
        self.gap.scatter_update(tf.IndexedSlices(old + weight * (fresh - old), unique))
        self.seen.scatter_add(tf.IndexedSlices(counts, unique))
        self.last.scatter_update(tf.IndexedSlices(tf.fill(tf.shape(unique), now), unique))
        self.draws.assign(now)

    def probability(self, rows: tf.Tensor) -> tf.Tensor:
        """The estimated probability of each row, in the rows' shape; an unseen row as if it were the next draw."""
        gap = tf.gather(self.gap, rows)
        return 1.0 / tf.maximum(tf.where(gap > 0, gap, self.draws + 1.0), 1.0)

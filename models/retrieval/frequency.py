"""How often items come up in the stream of training examples, estimated while it passes."""

import tensorflow as tf

MEMORY = 200.0  # gaps that an estimate averages over, about


class FrequencyEstimator(tf.Module):
    """The probability that a draw from the stream is a given item, by the mean gap between its occurrences.

    Yi et al., RecSys 2019, algorithm 2, with two changes: an item that comes up several times in a batch counts
    as often, and the first gaps are averaged evenly, so that the estimate is good after a few.

    Args:
        size: rows that can occur.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.last = tf.Variable(tf.zeros([size]), trainable=False)  # draws before the latest batch with the item
        self.gap = tf.Variable(tf.zeros([size]), trainable=False)  # mean gap between occurrences, in draws; 0 unknown
        self.seen = tf.Variable(tf.zeros([size]), trainable=False)  # occurrences
        self.draws = tf.Variable(0.0, trainable=False)

    def update(self, rows: tf.Tensor) -> None:
        """Take note of a batch of draws `[b]`."""
        unique, _, counts = tf.unique_with_counts(rows)
        counts = tf.cast(counts, tf.float32)
        now = self.draws + tf.cast(tf.size(rows), tf.float32)
        fresh = (now - tf.gather(self.last, unique)) / counts
        seen = tf.gather(self.seen, unique)
        # The weight of `counts` new gaps: even among the first, then exponentially fading.
        weight = tf.maximum(counts / (seen + counts), 1.0 - tf.pow(1.0 - 1.0 / MEMORY, counts))
        old = tf.gather(self.gap, unique)
        self.gap.scatter_update(tf.IndexedSlices(old + weight * (fresh - old), unique))
        self.seen.scatter_add(tf.IndexedSlices(counts, unique))
        self.last.scatter_update(tf.IndexedSlices(tf.fill(tf.shape(unique), now), unique))
        self.draws.assign(now)

    def probability(self, rows: tf.Tensor) -> tf.Tensor:
        """Estimated probability of each row, of the rows' shape; that of one occurrence so far for a row unseen."""
        gap = tf.gather(self.gap, rows)
        return 1.0 / tf.maximum(tf.where(gap > 0, gap, self.draws + 1.0), 1.0)

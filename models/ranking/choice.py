"""The choice head: it predicts which of a request's candidates the listener plays next.

It starts from retrieval's score and corrects it with features that retrieval does not use: the sequence model's score,
the item's current statistics, how often and how recently the listener heard the item, and the logits of the other
heads. It is fitted on the validation span, on which retrieval and the sequence model were not trained, so that their
scores there are as accurate as in serving.
"""

import numpy as np
import tensorflow as tf

from models.graph_function import graph_function
from models.ranking.list_losses import listwise_softmax

keras = tf.keras

HIDDEN = 32
BATCH = 64  # lists of a training step
EPOCHS, PATIENCE = 40, 5
LEARNING_RATE = 3e-3
HELD_OUT = 0.25  # share of the lists, the latest, that early stopping is judged on
OWN = 7  # features of a candidate that `candidate_features` computes itself
SEQUENCE = slice(2, 4)  # the features among them that come from the sequence model
IGNORED_DEVIATION = 1e30  # divided by this deviation, a feature is 0 whatever its value
MIN_LISTS = 100  # with fewer lists, retrieval's order is kept


class ChoiceHead(tf.keras.layers.Layer):
    """Computes a logit for each candidate from its features: `[..., f]` becomes `[...]`.

    The first feature is retrieval's score. The head adds a correction to it, which is 0 before `fit_choice`, so an
    unfitted head keeps retrieval's order.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mean = self.add_weight("mean", [width], initializer="zeros", trainable=False)
        self.deviation = self.add_weight("deviation", [width], initializer="ones", trainable=False)
        self.hidden = keras.layers.Dense(HIDDEN, "relu")
        self.out = keras.layers.Dense(1, kernel_initializer="zeros")
        self.direct = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")

    def restart(self) -> None:
        """Reset the head, so that it returns retrieval's scores."""
        self.deviation.assign(tf.ones_like(self.deviation))
        for weights in (self.mean, *self.out.weights, *self.direct.weights):
            weights.assign(tf.zeros_like(weights))

    def ignore(self, features: slice) -> None:
        """Make the head ignore some features, by giving them a deviation so large that they are always 0."""
        deviation = self.deviation.numpy()
        deviation[features] = IGNORED_DEVIATION
        self.deviation.assign(deviation)

    def call(self, features):
        scaled = tf.clip_by_value((features - self.mean) / self.deviation, -5.0, 5.0)
        return features[..., 0] + tf.squeeze(self.direct(scaled) + self.out(self.hidden(scaled)), -1)


def candidate_features(
    retrieval_scores: tf.Tensor,
    sequence_scores: tf.Tensor,
    rows: tf.Tensor,
    stats: tf.Tensor,
    history: tf.Tensor,
    age: tf.Tensor,
    others: tf.Tensor,
) -> tf.Tensor:
    """Compute the features of candidates for the choice head, `[b, n, f]`.

    Args:
        retrieval_scores: `[b, n]`.
        sequence_scores: scores of the sequence model, `[b, n]`; all 0 if it was not called.
        rows: rows of the candidates in the catalogue, `[b, n]`.
        stats: encoded statistics of the candidates, `[b, n, 7]`.
        history: catalogue rows of the history, most recent first, `[b, 50]`.
        age: log hours since each entry of the history, `[b, 50]`.
        others: further features of the candidates, `[b, n, h]`.
    """
    same = tf.cast((rows[:, :, None] == history[:, None, :]) & (rows > 0)[:, :, None], tf.float32)  # [b, n, 50]
    times = tf.reduce_sum(same, axis=2)
    # 1 for an item heard just now, 0 for an unheard item
    recency = tf.reduce_max(same / (1.0 + age[:, None, :]), axis=2)
    both = (retrieval_scores, sequence_scores)
    own = [part for s in both for part in (s, s - tf.reduce_max(s, axis=1, keepdims=True))]
    own = tf.stack([*own, tf.math.log1p(times), recency, tf.cast(times > 0, tf.float32)], axis=2)
    return tf.concat([own, stats, others], axis=2)


def fit_choice(head: ChoiceHead, features: np.ndarray, present: np.ndarray, chosen: np.ndarray, seed: int) -> dict:
    """Fit the head on lists of candidates in order of time; early stopping is judged on the latest quarter.

    Args:
        head: a built, unfitted head.
        features: `[lists, n, f]`.
        present: marks the places that hold a candidate, bool `[lists, n]`.
        chosen: the place of the chosen candidate, `[lists]`.
        seed: seed of the order of the lists.

    Returns:
        The number of `lists`, and the held-out cross-entropy in nats `before` (retrieval's order) and `after`. With
        fewer than 100 lists nothing is fitted, and only `lists` is returned.
    """
    lists = len(features)
    if lists < MIN_LISTS:
        return {"lists": lists}
    of_candidates = features[present]
    head.mean.assign(of_candidates.mean(axis=0))
    head.deviation.assign(np.maximum(of_candidates.std(axis=0), 1e-3))
    labels = np.zeros(present.shape, np.float32)
    labels[np.arange(lists), chosen] = 1.0
    optimizer = keras.optimizers.legacy.Adam(LEARNING_RATE)
    arrays = [tf.constant(values) for values in (features, present, labels)]
    signature = [tf.TensorSpec([None], tf.int64)]

    @graph_function(input_signature=signature)
    def loss(rows: tf.Tensor) -> tf.Tensor:
        batch, places, label = (tf.gather(values, rows) for values in arrays)
        logits = tf.where(places, head(batch), -1e9)
        groups = tf.repeat(tf.range(tf.shape(logits)[0]), tf.shape(logits)[1])
        return listwise_softmax(tf.reshape(logits, [-1]), tf.reshape(label, [-1]), groups)

    @graph_function(input_signature=signature)
    def step(rows: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            value = loss(rows)
        variables = head.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))

    first = round(lists * (1 - HELD_OUT))
    held_out = tf.range(first, lists, dtype=tf.int64)
    before = best = float(loss(held_out))
    weights, waited = head.get_weights(), 0
    random = np.random.default_rng(seed)
    for _ in range(EPOCHS):
        order = random.permutation(first)
        for start in range(0, first, BATCH):
            step(tf.constant(order[start : start + BATCH]))
        value = float(loss(held_out))
        weights, best, waited = (head.get_weights(), value, 0) if value < best else (weights, best, waited + 1)
        if waited == PATIENCE:
            break
    head.set_weights(weights)
    return {"lists": lists, "before": before, "after": best}

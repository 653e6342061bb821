"""Which of a request's candidates plays next: retrieval's order, corrected by what retrieval does not look at.

A listwise head over a few figures of each candidate: retrieval's score, the sequence model's, how the item is doing
now, how often and how lately the listener heard it, what the other heads say. It is fitted on later time than those
models were trained on, where their scores are as good as they will be when served.
"""

import numpy as np
import tensorflow as tf

from models.ranking.list_losses import listwise_softmax

keras = tf.keras

HIDDEN = 32
BATCH = 64  # lists of a step
EPOCHS, PATIENCE = 40, 5
LEARNING_RATE = 3e-3
HELD_OUT = 0.25  # share of the lists, the latest, that stop the training
OWN, SEQUENCE = 7, slice(2, 4)  # figures of a candidate beside its statistics; those that the sequence model gives
ENDLESS = 1e30  # a deviation beside which no figure is far from the mean
FEWEST = 100  # lists below which retrieval's own order is kept


class ChoiceHead(tf.keras.layers.Layer):
    """Figures of candidates to logits: `[..., f]` to `[...]`; the first figure is retrieval's score.

    It begins as retrieval's own order.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mean = self.add_weight("mean", [width], initializer="zeros", trainable=False)
        self.deviation = self.add_weight("deviation", [width], initializer="ones", trainable=False)
        self.hidden = keras.layers.Dense(HIDDEN, "relu")
        self.out = keras.layers.Dense(1, kernel_initializer="zeros")
        self.direct = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")

    def restart(self) -> None:
        """Forget what was fitted: retrieval's own order."""
        self.deviation.assign(tf.ones_like(self.deviation))
        for weights in (self.mean, *self.out.weights, *self.direct.weights):
            weights.assign(tf.zeros_like(weights))

    def ignore(self, figures: slice) -> None:
        """Look at some figures no more: they count as their mean, whatever they are."""
        deviation = self.deviation.numpy()
        deviation[figures] = ENDLESS
        self.deviation.assign(deviation)

    def call(self, figures):
        scaled = tf.clip_by_value((figures - self.mean) / self.deviation, -5.0, 5.0)
        return figures[..., 0] + tf.squeeze(self.direct(scaled) + self.out(self.hidden(scaled)), -1)


def candidate_figures(
    scores: tf.Tensor,
    following: tf.Tensor,
    rows: tf.Tensor,
    stats: tf.Tensor,
    history: tf.Tensor,
    age: tf.Tensor,
    logits: tf.Tensor,
) -> tf.Tensor:
    """What the head looks at, `[b, n, f]`.

    Args:
        scores: retrieval's, `[b, n]`.
        following: the sequence model's, `[b, n]`; all 0 if it was not asked.
        rows: of the candidates in the catalogue, `[b, n]`.
        stats: encoded statistics, `[b, n, 7]`.
        history: rows of the history, most recent first, `[b, 50]`.
        age: log hours since each entry of it, `[b, 50]`.
        logits: other figures of the candidates, `[b, n, h]`.
    """
    same = tf.cast((rows[:, :, None] == history[:, None, :]) & (rows > 0)[:, :, None], tf.float32)  # [b, n, 50]
    times = tf.reduce_sum(same, axis=2)
    latest = tf.reduce_max(same / (1.0 + age[:, None, :]), axis=2)  # 1 just now, 0 never
    own = [part for s in (scores, following) for part in (s, s - tf.reduce_max(s, axis=1, keepdims=True))]
    own = tf.stack([*own, tf.math.log1p(times), latest, tf.cast(times > 0, tf.float32)], axis=2)
    return tf.concat([own, stats, logits], axis=2)


def fit_choice(head: ChoiceHead, figures: np.ndarray, present: np.ndarray, chosen: np.ndarray, seed: int) -> dict:
    """Fit the head on lists of candidates in order of time; the latest quarter stops the training.

    Args:
        head: built, as it begins.
        figures: `[lists, n, f]`.
        present: where there is a candidate, bool `[lists, n]`.
        chosen: the place of the candidate that was chosen, `[lists]`.
        seed: of the order of lists.

    Returns:
        `lists` used, and `before` and `after`: the held-out cross-entropy in nats, of retrieval's order and of
        the head's.
        With fewer than 100 lists nothing is fitted.
    """
    lists = len(figures)
    if lists < FEWEST:
        return {"lists": lists}
    known = figures[present]
    head.mean.assign(known.mean(axis=0))
    head.deviation.assign(np.maximum(known.std(axis=0), 1e-3))
    labels = np.zeros(present.shape, np.float32)
    labels[np.arange(lists), chosen] = 1.0
    optimizer = keras.optimizers.legacy.Adam(LEARNING_RATE)
    held = [tf.constant(values) for values in (figures, present, labels)]
    signature = [tf.TensorSpec([None], tf.int64)]

    @tf.function(input_signature=signature)
    def loss(rows: tf.Tensor) -> tf.Tensor:
        known, there, label = (tf.gather(values, rows) for values in held)
        logits = tf.where(there, head(known), -1e9)
        groups = tf.repeat(tf.range(tf.shape(logits)[0]), tf.shape(logits)[1])
        return listwise_softmax(tf.reshape(logits, [-1]), tf.reshape(label, [-1]), groups)

    @tf.function(input_signature=signature)
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
        now = float(loss(held_out))
        weights, best, waited = (head.get_weights(), now, 0) if now < best else (weights, best, waited + 1)
        if waited == PATIENCE:
            break
    head.set_weights(weights)
    return {"lists": lists, "before": before, "after": best}

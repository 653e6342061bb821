"""What the place on a slate does to the labels: listeners rarely look at what is far down.

The log shows more outcomes at the top because it is looked at, not because it is better. Either a tower of its own
takes that on in training, or the rows are weighted by how rarely their place is looked at.
"""

import numpy as np
import tensorflow as tf

keras = tf.keras

LAST = 50  # places from here on share their row
DROPOUT = 0.2
WIDTH = 8
LEAST = 0.1  # no weight exceeds 1 / LEAST


class PositionTower(tf.keras.layers.Layer):
    """Position and surface to what they add to each task's logit, in training only.

    Zhao et al., RecSys 2019, "Recommending What Video to Watch Next". The position is dropped on a share of
    the rows, and a position that is not known adds 0: so the model without the tower is trained on the
    dropped rows to be right on average over the positions of the log, which is what it is served as.

    Args:
        surfaces: rows of the surface lookup.
        tasks: how many logits there are.
    """

    def __init__(self, surfaces: int, tasks: int) -> None:
        super().__init__()
        self.place = keras.layers.Embedding(LAST + 1, WIDTH)
        self.surface = keras.layers.Embedding(surfaces, WIDTH)
        self.hidden = keras.layers.Dense(2 * WIDTH, "relu")
        self.out = keras.layers.Dense(tasks)

    def call(self, position, surface, seed=None):
        """`[b]`, `[b]` to `[b, tasks]`; position counts from 1, 0 is unknown; with a seed some are dropped."""
        known = position > 0
        if seed is not None:
            known &= tf.random.stateless_uniform(tf.shape(position), seed) >= DROPOUT
        place = tf.clip_by_value(position, 1, LAST)
        # The logarithm lets neighbouring places learn from each other, the embedding lets them differ.
        decline = tf.math.log(tf.cast(place, tf.float32))[:, None]
        inputs = tf.concat([self.place(place), self.surface(surface), decline], axis=1)
        return self.out(self.hidden(inputs)) * tf.cast(known, tf.float32)[:, None]


def decline_of_examination(position: np.ndarray, surface: np.ndarray, outcome: np.ndarray) -> float:
    """The `eta` with which a position is looked at by `1 / position ** eta`, from the outcomes of the log.

    Within a surface, the share of rows that anything came of, against the share at position 1; the
    logarithms of these ratios on that of the position by least squares through the origin, weighted by
    outcomes (Joachims et al., WSDM 2017, for the model). It supposes that what stands further down would
    have had an outcome as often, had it been looked at: true if skips are logged, else it also
    counts how the policy ordered the slate.

    Args:
        position: from 1, 0 where unknown, `[n]`.
        surface: a code, `[n]`.
        outcome: 1 where anything came of the impression, `[n]`.

    Returns:
        `eta`, never negative; 0 if the log does not tell.
    """
    above = below = 0.0
    for code in np.unique(surface):
        own = (surface == code) & (position > 0)
        shown = np.bincount(position[own]).astype(np.float64)
        came = np.bincount(position[own], outcome[own])
        places = np.flatnonzero(came > 0)
        if len(places) < 2 or places[0] != 1:
            continue
        ratio = np.log(came[places] / shown[places]) - np.log(came[1] / shown[1])
        x = np.log(places)
        above -= (came[places] * x * ratio).sum()
        below += (came[places] * x * x).sum()
    return max(above / below, 0.0) if below else 0.0


def examination(position: tf.Tensor, eta: tf.Tensor) -> tf.Tensor:
    """The chance that a position is looked at, `1 / position ** eta`, at least 0.1; 1 where it is unknown: `[n]`."""
    return tf.maximum(tf.cast(tf.maximum(position, 1), tf.float32) ** -eta, LEAST)

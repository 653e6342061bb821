"""Position bias: listeners look at the top of a slate more often than at the bottom.

So the log has more plays at the top, whatever stands there. The model corrects for this in one of two ways: a position
tower explains the effect in training and is left out in serving, or outcomes are weighted by the inverse of the chance
that their position is looked at.
"""

import numpy as np
import tensorflow as tf

keras = tf.keras

LAST = 50  # positions from here on share an embedding
DROPOUT = 0.2
WIDTH = 8
LEAST = 0.1  # lowest chance of examination, so no outcome counts more than ten times


class PositionTower(tf.keras.layers.Layer):
    """Computes from position and surface what they add to each task's logit; it is used in training only.

    The method is that of Zhao et al., RecSys 2019, "Recommending What Video to Watch Next". Training drops the position
    of a share of the rows; a dropped or unknown position adds 0. On these rows the rest of the model learns the average
    over the positions of the log, and the rest alone is served.

    Args:
        surfaces: the number of rows of the surface lookup.
        tasks: the number of logits.
    """

    def __init__(self, surfaces: int, tasks: int) -> None:
        super().__init__()
        self.place = keras.layers.Embedding(LAST + 1, WIDTH)
        self.surface = keras.layers.Embedding(surfaces, WIDTH)
        self.hidden = keras.layers.Dense(2 * WIDTH, "relu")
        self.out = keras.layers.Dense(tasks)

    def call(self, position, surface, seed=None):
        """Return what to add to the logits, `[b, tasks]`.

        Args:
            position: from 1, and 0 where it is unknown, int `[b]`.
            surface: code of the surface, int `[b]`.
            seed: seed of the dropped positions; None drops none.
        """
        used = position > 0
        if seed is not None:
            used &= tf.random.stateless_uniform(tf.shape(position), seed) >= DROPOUT
        place = tf.clip_by_value(position, 1, LAST)
        # Neighbouring positions learn from each other by the logarithm and differ by the embedding.
        decline = tf.math.log(tf.cast(place, tf.float32))[:, None]
        inputs = tf.concat([self.place(place), self.surface(surface), decline], axis=1)
        return self.out(self.hidden(inputs)) * tf.cast(used, tf.float32)[:, None]


def decline_of_examination(position: np.ndarray, surface: np.ndarray, outcome: np.ndarray) -> float:
    """Estimate from the log the `eta` of the model that a position is looked at with chance `1 / position ** eta`.

    The model is that of Joachims et al., WSDM 2017. For each surface and position, the share of impressions with an
    outcome is divided by the share at position 1. `eta` is the least-squares slope through the origin of the logarithm
    of this ratio against the logarithm of the position, weighted by the number of outcomes.

    The estimate assumes that items further down would have outcomes as often if they were looked at. This holds
    if skips are logged. Otherwise `eta` also includes the policy's choice to put better items at the top.

    Args:
        position: from 1, and 0 where it is unknown, `[n]`.
        surface: code of the surface, `[n]`.
        outcome: 1 where the impression had any outcome, else 0, `[n]`.

    Returns:
        `eta`, at least 0; 0 if no surface has outcomes at position 1 and at another position.
    """
    above = below = 0.0
    for code in np.unique(surface):
        rows = (surface == code) & (position > 0)
        impressions = np.bincount(position[rows]).astype(np.float64)
        outcomes = np.bincount(position[rows], outcome[rows])
        places = np.flatnonzero(outcomes > 0)
        if len(places) < 2 or places[0] != 1:
            continue
        ratio = np.log(outcomes[places] / impressions[places]) - np.log(outcomes[1] / impressions[1])
        x = np.log(places)
        above -= (outcomes[places] * x * ratio).sum()
        below += (outcomes[places] * x * x).sum()
    return max(above / below, 0.0) if below else 0.0


def examination(position: tf.Tensor, eta: tf.Tensor) -> tf.Tensor:
    """The chance that a position is looked at, `[n]`: `1 / position ** eta`, at least 0.1; 1 for unknown positions."""
    return tf.maximum(tf.cast(tf.maximum(position, 1), tf.float32) ** -eta, LEAST)

"""Position bias: listeners look less at low positions of a list, so the log has fewer outcomes there.

Items at the top have more outcomes because they are seen, not because they are better. Training corrects for that with
a tower that learns the effect of the position, or with weights for rows at positions that are rarely seen.
"""

import numpy as np
import tensorflow as tf

keras = tf.keras

LAST = 50  # positions from here on share an embedding
DROPOUT = 0.2
WIDTH = 8
LEAST = 0.1  # the lowest examination probability, so no weight exceeds 1 / LEAST


class PositionTower(tf.keras.layers.Layer):
    """Logits that the position and the surface add to each task, in training only.

    Zhao et al., RecSys 2019, "Recommending What Video to Watch Next". Serving uses the model without the tower. So the
    position is dropped on a share of the rows, and a dropped or unknown position adds 0: on these rows the model learns
    to predict well on its own, averaged over the positions of the log.

    Args:
        surfaces: number of rows of the surface lookup.
        tasks: number of logits.
    """

    def __init__(self, surfaces: int, tasks: int) -> None:
        super().__init__()
        self.place = keras.layers.Embedding(LAST + 1, WIDTH)
        self.surface = keras.layers.Embedding(surfaces, WIDTH)
        self.hidden = keras.layers.Dense(2 * WIDTH, "relu")
        self.out = keras.layers.Dense(tasks)

    def call(self, position, surface, seed=None):
        """Compute the added logits.

        Args:
            position: from 1, or 0 where unknown, `[b]`.
            surface: rows of the surface lookup, `[b]`.
            seed: drops a share of the positions if given, int `[2]`.

        Returns:
            `[b, tasks]`; 0 where the position is unknown or dropped.
        """
        has_position = position > 0
        if seed is not None:
            has_position &= tf.random.stateless_uniform(tf.shape(position), seed) >= DROPOUT
        place = tf.clip_by_value(position, 1, LAST)
        # The logarithm makes neighbouring positions similar; the embedding lets them differ.
        decline = tf.math.log(tf.cast(place, tf.float32))[:, None]
        inputs = tf.concat([self.place(place), self.surface(surface), decline], axis=1)
        return self.out(self.hidden(inputs)) * tf.cast(has_position, tf.float32)[:, None]


def decline_of_examination(position: np.ndarray, surface: np.ndarray, outcome: np.ndarray) -> float:
    """Estimate `eta`, where a position is examined with probability `1 / position ** eta`, from the log.

    The model is that of Joachims et al., WSDM 2017. On each surface, take the share of impressions with an outcome at
    every position, over the share at position 1. `-eta` is the slope of a least-squares line through the origin from
    the logarithm of the position to the logarithm of that ratio, weighted by outcomes.

    The estimate assumes that items at low positions would have an outcome as often as others if they were examined.
    This holds if skips are logged; otherwise `eta` also contains the policy's preference for the top items.

    Args:
        position: from 1, or 0 where unknown, `[n]`.
        surface: code of the surface, `[n]`.
        outcome: 1 where the impression has any outcome, `[n]`.

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
    """The probability that a position is examined, `1 / position ** eta`, at least 0.1; 1 where unknown: `[n]`."""
    return tf.maximum(tf.cast(tf.maximum(position, 1), tf.float32) ** -eta, LEAST)

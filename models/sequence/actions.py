"""What a listener will do with an item once it plays: one softmax over the actions of the log."""

import tensorflow as tf

from models.inputs.towers import dropout
from models.sequence.losses import mean

HIDDEN = 2  # times the width of the states


class ActionHead(tf.keras.layers.Layer):
    """States and items to logits of actions.

    The ranking task of HSTU (Zhai et al., ICML 2024), with items that meet the state after the transformer and not as
    entries of it: one state serves all candidates of a request.

    Args:
        actions: how many there are.
        dim: width of states and items.
        rate: of dropout.
    """

    def __init__(self, actions: int, dim: int, rate: float) -> None:
        super().__init__()
        self.dim, self.rate = dim, rate
        self.hidden = tf.keras.layers.Dense(HIDDEN * dim, "silu")
        self.out = tf.keras.layers.Dense(actions)

    def call(self, state: tf.Tensor, item: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Logits `[..., actions]` of states and items `[..., dim]`; `seed` of dropout, None drops nothing."""
        item *= self.dim**0.5
        met = self.hidden(tf.concat([state, item, state * item], axis=-1))
        return self.out(dropout(met, self.rate, seed if self.rate else None))

    def loss(self, state: tf.Tensor, item: tf.Tensor, action: tf.Tensor, seed: tf.Tensor | None) -> tf.Tensor:
        """Mean cross-entropy of actions; 0 where the log states none.

        Args:
            state: `[n, dim]`.
            item: `[n, dim]`.
            action: counted from 0, int32 `[n]`; below 0 where the log does not say, which weighs nothing.
            seed: of dropout; None drops nothing.
        """
        known = action >= 0
        logits = self(state, item, seed)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(known, action, 0), logits)
        return mean(losses, tf.cast(known, tf.float32))

"""The action head: a softmax over the actions that a listener may take on an item once it plays."""

import tensorflow as tf

from models.inputs.towers import dropout
from models.sequence.losses import mean

HIDDEN = 2  # times the width of the states


class ActionHead(tf.keras.layers.Layer):
    """Turns states and items into logits of actions.

    This is the ranking task of HSTU (Zhai et al., ICML 2024). HSTU makes each candidate an entry of the transformer;
    here the item is joined with the state after the transformer, so one state serves all candidates of a request.

    Args:
        actions: number of actions.
        dim: width of states and items.
        rate: the dropout rate.
    """

    def __init__(self, actions: int, dim: int, rate: float) -> None:
        super().__init__()
        self.dim, self.rate = dim, rate
        self.hidden = tf.keras.layers.Dense(HIDDEN * dim, "silu")
        self.out = tf.keras.layers.Dense(actions)

    def call(self, state: tf.Tensor, item: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Compute the logits of actions, `[..., actions]`.

        Args:
            state: states of listeners, `[..., dim]`.
            item: vectors of items, `[..., dim]`.
            seed: seed of dropout; None applies no dropout.
        """
        item *= self.dim**0.5
        hidden = self.hidden(tf.concat([state, item, state * item], axis=-1))
        return self.out(dropout(hidden, self.rate, seed if self.rate else None))

    def loss(self, state: tf.Tensor, item: tf.Tensor, action: tf.Tensor, seed: tf.Tensor | None) -> tf.Tensor:
        """The mean cross-entropy over the rows whose action the log states; 0 if it states none.

        Args:
            state: states of listeners, `[n, dim]`.
            item: vectors of items, `[n, dim]`.
            action: number of the action from 0, int32 `[n]`; negative where the log states none.
            seed: seed of dropout; None applies no dropout.
        """
        stated = action >= 0
        logits = self(state, item, seed)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(stated, action, 0), logits)
        return mean(losses, tf.cast(stated, tf.float32))

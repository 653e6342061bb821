"""The sequence model: a causal transformer over a listener's history that scores every item as the next one.

It has the shape of SASRec (Kang and McAuley, ICDM 2018): the transformer's states are compared with the embeddings of
the items. One token holds an item and the action on it. HSTU interleaves items and actions as separate tokens, which
doubles the length of a row, although only the items are predicted.
"""

import numpy as np
import tensorflow as tf

from models.fitting.loop import Model
from models.graph_function import graph_function
from models.inputs.encoder import Encoder
from models.inputs.towers import ItemEncoder, dropout
from models.inputs.vocabulary import PADDING
from models.sequence import losses
from models.sequence.actions import ActionHead
from models.sequence.attention import (
    MASKED,
    TIME_BUCKETS,
    PointwiseBlock,
    RelativeBias,
    RMSNorm,
    SoftmaxBlock,
    time_buckets,
    visible,
)
from models.training_config import SequenceConfig

IDS, ACTIONS, NEGATIVES, BLOCK = 0, 1, 2, 16  # salts of the random draws; those of dropout start at BLOCK
CALIBRATION = 0.75  # t of gBCE


class SequenceModel(Model):
    """Turns histories into states, and states into scores of items.

    Args:
        encoder: encodes the inputs and holds the catalogue; it goes into the SavedModel.
        config: sizes and the loss.
        counts: occurrences of each row of the catalogue in training, `[rows]`. Items absent from training are left out
            of the softmax. If items have no content, one unseen item is always a negative, so unseen items, which then
            share an embedding, score lowest.
        timed: whether the log states times.
        unseen: whether items of the history are never recommended. Training then leaves them out of the softmax too, so
            that the model spends nothing on telling old items from new ones.
    """

    def __init__(self, encoder: Encoder, config: SequenceConfig, counts: np.ndarray, timed: bool, unseen: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.unseen = unseen
        self.items = ItemEncoder(encoder, config.dim)
        # Rows that training never meets stay zero and add nothing.
        self.actions = neutral(encoder.lookups["action"].size, config.dim)
        self.surfaces = neutral(encoder.lookups["surface"].size, config.dim)
        self.waits = neutral(TIME_BUCKETS, config.dim) if timed else None
        self.start = self.add_weight("start", [config.dim], initializer="zeros")
        self.bias = RelativeBias(config.heads, config.length, timed)
        block = SoftmaxBlock if config.attention == "softmax" else PointwiseBlock
        self.blocks = [block(config.dim, config.heads, config.dropout) for _ in range(config.blocks)]
        self.norm = RMSNorm()
        actions = len(encoder.lookups["action"].tokens)
        self.done_with = ActionHead(actions, config.dim, config.dropout) if config.action_weight else None
        self.content = len(encoder.lookups["creator_id"].tokens) > 0 or encoder.axes.genres > 1
        candidates = np.flatnonzero(counts)
        if not self.content:
            # Without content, all unseen items have the same vector. One of them as a negative teaches a low score.
            ids = encoder.catalogue.item_ids.numpy()[:, 0]
            unseen_items = np.flatnonzero((ids > PADDING) & (ids <= encoder.lookups["item_id"].buckets))
            candidates = np.append(candidates, unseen_items[:1])
        self._candidates = tf.constant(candidates, tf.int32)
        share = counts / max(counts.sum(), 1)
        self._share = tf.constant(share, tf.float32)  # [rows]

    def states(
        self, inputs: dict[str, tf.Tensor], embedded: tf.Tensor, training: bool = False, newest: bool = False
    ) -> tf.Tensor:
        """Compute the state after each entry, from which the next item is predicted.

        Args:
            inputs: `item`, `action`, `segment`, `time`, `next_time`, `next_surface`, each `[b, l]`. The item is 0 at
                the start of a listener, where there is no entry yet.
            embedded: embeddings of the entries' items, `[b, l, dim]`.
            training: whether dropout is applied.
            newest: whether only the state of the last entry is wanted; the last block then computes no other.

        Returns:
            States `[b, l, dim]`, or `[b, 1, dim]` if `newest`.
        """
        salts = iter(range(BLOCK, BLOCK * (len(self.blocks) + 2)))

        def drop(values: tf.Tensor, rate: float) -> tf.Tensor:
            return dropout(values, rate, self.stateless_seed(next(salts)) if training and rate else None)

        tokens = embedded * self.config.dim**0.5 + self.actions(self.without_unknown("action", inputs["action"]))
        tokens = tf.where(inputs["item"][:, :, None] > PADDING, tokens, self.start)
        bias = tf.where(visible(inputs["segment"]), self.bias(inputs["time"]), MASKED)
        values = drop(tokens, self.config.dropout)
        for block in self.blocks:
            values = block(values, bias, drop, newest and block is self.blocks[-1])
        surface, wait = inputs["next_surface"], inputs["next_time"] - inputs["time"]
        if newest:
            surface, wait = surface[:, -1:], wait[:, -1:]
        values += self.surfaces(self.without_unknown("surface", surface))
        if self.waits is not None:
            values += self.waits(time_buckets(wait))
        return self.norm(values)

    def state(self, inputs: dict[str, tf.Tensor], embedded: tf.Tensor) -> tf.Tensor:
        """Compute the state after the last entry, `[b, dim]`; see `states` for the arguments."""
        return self.states(inputs, embedded, newest=True)[:, 0]

    def without_unknown(self, name: str, rows: tf.Tensor) -> tf.Tensor:
        """Replace out-of-vocabulary rows of the vocabulary `name` by padding, as if the log did not state the value."""
        return tf.where(rows > self.encoder.lookups[name].buckets, rows, PADDING)

    @graph_function(reduce_retracing=True)
    def listener_vectors(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Compute the state after the last entry of each row of `histories.requests`: `[b, dim]`."""
        (embedded,) = self.items.distinct([inputs["item"]])
        return self.state(inputs, embedded)

    @graph_function(reduce_retracing=True)
    def item_vectors(self, rows: tf.Tensor) -> tf.Tensor:
        """Embed rows `[n]` of the catalogue: `[n, dim]`. The dot product with a state is the item's score."""
        return self.items.static(rows)

    @graph_function(reduce_retracing=True)
    def actions_of(self, vectors: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Predict the probability of each action, `[..., actions]`, by a model with an action head.

        Args:
            vectors: states of listeners, `[..., dim]`.
            items: vectors of items, `[..., dim]`.
        """
        assert self.done_with is not None
        return tf.nn.softmax(self.done_with(vectors, items))

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The loss of the next item plus, with an action head, the weighted loss of the next action.

        Args:
            inputs: a batch of `histories.Windows`. Entries whose `next_item` is 0 have no item loss, and entries whose
                `next_action` is unknown have no action loss. `weight` is that of the item loss.
            training: whether dropout is applied.
        """
        seed = self.stateless_seed(IDS) if training and self.content else None
        target = tf.reshape(inputs["next_item"], [-1])
        weight = tf.reshape(inputs["weight"], [-1]) * tf.cast(target > PADDING, tf.float32)
        item_loss = self.softmax_loss if self.config.loss == "softmax" else self.sampled_loss
        loss, states, next_entries = item_loss(inputs, target, weight, seed, training)
        if self.done_with is None:
            return loss
        action = tf.reshape(inputs["next_action"], [-1]) - 1 - self.encoder.lookups["action"].buckets
        drop_seed = self.stateless_seed(ACTIONS) if training else None
        return loss + self.config.action_weight * self.done_with.loss(states, next_entries, action, drop_seed)

    def softmax_loss(self, inputs, target, weight, seed, training) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Compute the softmax loss over all candidates.

        Args:
            inputs: see `compute_loss`.
            target: rows of the catalogue that came next, `[b * l]`.
            weight: weight of each prediction, `[b * l]`.
            seed: seed of id dropout; None drops no id.
            training: whether dropout is applied.

        Returns:
            The loss, the states `[b * l, dim]`, and the vectors of the items of `next_entry` `[b * l, dim]`.
        """
        embedded = self.items.static(self._candidates, seed)
        numbers = tf.range(1, tf.size(self._candidates) + 1)
        places = tf.scatter_nd(self._candidates[:, None], numbers, tf.shape(self._share)) - 1  # -1: not a candidate
        history = tf.gather(embedded, tf.maximum(tf.gather(places, inputs["item"]), 0))
        states = tf.reshape(self.states(inputs, history, training), [-1, self.config.dim])
        chosen, excluded = tf.maximum(tf.gather(places, target), 0), None
        weight *= tf.cast(tf.gather(self._share, target) > 0, tf.float32)  # targets that are no candidates are skipped
        if self.unseen:
            excluded = items_so_far(tf.gather(places, inputs["item"]), inputs["segment"])
            # Some listeners choose an item again. Such targets are excluded as candidates, so they are skipped.
            weight *= tf.cast(tf.reduce_all(excluded != chosen[:, None], axis=1), tf.float32)
        entry = tf.gather(places, tf.reshape(inputs["next_entry"], [-1]))
        next_entries = tf.gather(embedded, tf.maximum(entry, 0))
        return losses.full_softmax(states, embedded, chosen, weight, excluded), states, next_entries

    def sampled_loss(self, inputs, target, weight, seed, training) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Compute a loss over sampled negatives; arguments and results are those of `softmax_loss`.

        gBCE draws all negatives uniformly, as its correction requires. The sampled softmax draws half of them in
        proportion to their frequency, and corrects its logits for that.
        """
        count = self.config.negatives
        draw = tf.random.stateless_uniform([count], self.stateless_seed(NEGATIVES))
        uniform_count = count if self.config.loss == "gbce" else count // 2
        uniform = tf.cast(draw[:uniform_count] * tf.cast(tf.size(self._candidates), tf.float32), tf.int32)
        popular = tf.searchsorted(tf.cumsum(tf.gather(self._share, self._candidates)), draw[uniform_count:])
        places = tf.minimum(tf.concat([uniform, popular], axis=0), tf.size(self._candidates) - 1)
        rows = tf.gather(self._candidates, places)
        entry = tf.reshape(inputs["next_entry"], [-1])
        embedded, chosen, next_entries, negatives = self.items.distinct([inputs["item"], target, entry, rows], seed)
        states = tf.reshape(self.states(inputs, embedded, training), [-1, self.config.dim])
        own, others = losses.logits_of(states, chosen, target, negatives, rows)
        if self.config.loss == "gbce":
            rate = min(count / self._candidates.shape[0], 1.0)
            return losses.gbce(own, others, rate, CALIBRATION, weight), states, next_entries
        probability = 0.5 / self._candidates.shape[0] + 0.5 * tf.gather(self._share, rows)
        return losses.sampled_softmax(own, others, count * probability, weight), states, next_entries

    def vocabulary_embeddings(self) -> dict[str, list[tf.Variable]]:
        """The embedding tables by the name of the vocabulary that indexes their rows."""
        own = {"action": [self.actions.embeddings], "surface": [self.surfaces.embeddings]}
        return self.items.vocabulary() | own


def neutral(rows: int, dim: int) -> tf.keras.layers.Embedding:
    """An embedding layer that starts with zeros."""
    return tf.keras.layers.Embedding(rows, dim, embeddings_initializer="zeros")


def items_so_far(item: tf.Tensor, segment: tf.Tensor) -> tf.Tensor:
    """The items of each entry and of the entries before it in its segment, `[b * l, l]`.

    The entry's own item fills the places of later entries and of other segments. For example, the items 5, 6, 7 with
    the segments 1, 1, 2 give 5 5 5, 5 6 6 and 7 7 7.

    Args:
        item: `[b, l]`.
        segment: `[b, l]`.
    """
    length = item.shape[1]
    seen = tf.where(visible(segment)[:, 0], item[:, None, :], item[:, :, None])  # [b, l, l]
    return tf.reshape(seen, [-1, length])

"""One transformer over what a listener did, in order: what comes next, scored for every item.

SASRec's shape (Kang and McAuley, ICDM 2018): a causal transformer whose states are compared with the items' own
embeddings. An entry is an item and what was done with it, in one token: half the length of rows that interleave the
two (HSTU), and what is predicted is the item either way.
"""

import numpy as np
import tensorflow as tf

from models.fitting.loop import Model
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

IDS, ACTIONS, NEGATIVES, BLOCK = 0, 1, 2, 16  # salts of the random draws; dropout's count on from BLOCK
CALIBRATION = 0.75  # gBCE's t


class SequenceModel(Model):
    """Histories to states, and states to scores of items.

    Args:
        encoder: how inputs were encoded, with the catalogue; it goes into the SavedModel.
        config: sizes and what is learned by.
        counts: how often each row of the catalogue occurs in training, `[rows]`. What never does is no candidate
            there: it has had no chance. Where items are ids alone, one that is unknown stands for all that are.
        timed: whether the log says when things happened.
        unseen: whether what a listener has had is never answered. It is no candidate in training either then: the
            softmax over all items is over what may come next, and nothing is spent on learning what is known.
    """

    def __init__(self, encoder: Encoder, config: SequenceConfig, counts: np.ndarray, timed: bool, unseen: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.unseen = unseen
        self.items = ItemEncoder(encoder, config.dim)
        # What training never meets adds nothing.
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
            # All that is unknown has one vector then, and one thing to learn: that it is unlikely.
            ids = encoder.catalogue.item_ids.numpy()[:, 0]
            unknown = np.flatnonzero((ids > PADDING) & (ids <= encoder.lookups["item_id"].buckets))
            candidates = np.append(candidates, unknown[:1])
        self._candidates = tf.constant(candidates, tf.int32)
        share = counts / max(counts.sum(), 1)
        self._share = tf.constant(share, tf.float32)  # [rows]

    def states(
        self, inputs: dict[str, tf.Tensor], embedded: tf.Tensor, training: bool = False, newest: bool = False
    ) -> tf.Tensor:
        """What is expected after each entry: `[b, l, dim]`; or after the newest alone: `[b, 1, dim]`.

        Args:
            inputs: `item`, `action`, `segment`, `time`, `next_time`, `next_surface`, each `[b, l]`. The item of a
                listener's start, which nothing comes before, is 0.
            embedded: the entries' items `[b, l, dim]`.
            training: whether values are dropped.
            newest: whether the last block, which nothing reads but the answer, is spared all other entries.
        """
        salts = iter(range(BLOCK, BLOCK * (len(self.blocks) + 2)))

        def drop(values: tf.Tensor, rate: float) -> tf.Tensor:
            return dropout(values, rate, self.stateless_seed(next(salts)) if training and rate else None)

        tokens = embedded * self.config.dim**0.5 + self.actions(self.stated("action", inputs["action"]))
        tokens = tf.where(inputs["item"][:, :, None] > PADDING, tokens, self.start)
        bias = tf.where(visible(inputs["segment"]), self.bias(inputs["time"]), MASKED)
        values = drop(tokens, self.config.dropout)
        for block in self.blocks:
            values = block(values, bias, drop, newest and block is self.blocks[-1])
        surface, wait = inputs["next_surface"], inputs["next_time"] - inputs["time"]
        if newest:
            surface, wait = surface[:, -1:], wait[:, -1:]
        values += self.surfaces(self.stated("surface", surface))
        if self.waits is not None:
            values += self.waits(time_buckets(wait))
        return self.norm(values)

    def state(self, inputs: dict[str, tf.Tensor], embedded: tf.Tensor) -> tf.Tensor:
        """What is expected after the newest entry: `[b, dim]`; arguments as those of `states`."""
        return self.states(inputs, embedded, newest=True)[:, 0]

    def stated(self, name: str, rows: tf.Tensor) -> tf.Tensor:
        """Rows of a lookup with what it does not know as what the log does not state."""
        return tf.where(rows > self.encoder.lookups[name].buckets, rows, PADDING)

    @tf.function(reduce_retracing=True)
    def listener_vectors(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """What is expected after the last entry of each row of `histories.requests`: `[b, dim]`."""
        (embedded,) = self.items.distinct([inputs["item"]])
        return self.state(inputs, embedded)

    @tf.function(reduce_retracing=True)
    def item_vectors(self, rows: tf.Tensor) -> tf.Tensor:
        """Items by row of the catalogue `[n]`, as they are scored: `[n, dim]`."""
        return self.items.static(rows)

    @tf.function(reduce_retracing=True)
    def actions_of(self, vectors: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Probabilities of the vocabulary's actions `[..., actions]`, of listeners' and items' vectors `[..., dim]`."""
        assert self.done_with is not None  # nobody asks a model without one
        return tf.nn.softmax(self.done_with(vectors, items))

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The configured loss of `next_item`, where there is one, and that of `next_action`, with its weight."""
        seed = self.stateless_seed(IDS) if training and self.content else None
        target = tf.reshape(inputs["next_item"], [-1])
        weight = tf.cast(target > PADDING, tf.float32)
        learned = self.softmax_loss if self.config.loss == "softmax" else self.sampled_loss
        loss, states, following = learned(inputs, target, weight, seed, training)
        if self.done_with is None:
            return loss
        action = tf.reshape(inputs["next_action"], [-1]) - 1 - self.encoder.lookups["action"].buckets
        drop = self.stateless_seed(ACTIONS) if training else None
        return loss + self.config.action_weight * self.done_with.loss(states, following, action, drop)

    def softmax_loss(self, inputs, target, weight, seed, training) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The loss over all items; the states `[b * l, dim]` and the vectors of `next_entry` `[b * l, dim]`."""
        embedded = self.items.static(self._candidates, seed)
        numbers = tf.range(1, tf.size(self._candidates) + 1)
        places = tf.scatter_nd(self._candidates[:, None], numbers, tf.shape(self._share)) - 1  # -1: none
        history = tf.gather(embedded, tf.maximum(tf.gather(places, inputs["item"]), 0))
        states = tf.reshape(self.states(inputs, history, training), [-1, self.config.dim])
        chosen, had = tf.maximum(tf.gather(places, target), 0), None
        weight *= tf.cast(tf.gather(self._share, target) > 0, tf.float32)  # what is no candidate is not told
        if self.unseen:
            had = had_before(tf.gather(places, inputs["item"]), inputs["segment"])
            # The few choices that were had before all the same can never be answered.
            weight *= tf.cast(tf.reduce_all(had != chosen[:, None], axis=1), tf.float32)
        entry = tf.gather(places, tf.reshape(inputs["next_entry"], [-1]))
        following = tf.gather(embedded, tf.maximum(entry, 0))
        return losses.full_softmax(states, embedded, chosen, weight, had), states, following

    def sampled_loss(self, inputs, target, weight, seed, training) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The loss over negatives, drawn evenly, half of them as often as they occur where that is corrected; the
        states `[b * l, dim]` and the vectors of `next_entry` `[b * l, dim]`."""
        count = self.config.negatives
        draw = tf.random.stateless_uniform([count], self.stateless_seed(NEGATIVES))
        half = count if self.config.loss == "gbce" else count // 2
        even = tf.cast(draw[:half] * tf.cast(tf.size(self._candidates), tf.float32), tf.int32)
        popular = tf.searchsorted(tf.cumsum(tf.gather(self._share, self._candidates)), draw[half:])
        places = tf.minimum(tf.concat([even, popular], axis=0), tf.size(self._candidates) - 1)
        rows = tf.gather(self._candidates, places)
        entry = tf.reshape(inputs["next_entry"], [-1])
        embedded, chosen, following, negatives = self.items.distinct([inputs["item"], target, entry, rows], seed)
        states = tf.reshape(self.states(inputs, embedded, training), [-1, self.config.dim])
        own, others = losses.logits_of(states, chosen, target, negatives, rows)
        if self.config.loss == "gbce":
            rate = min(count / self._candidates.shape[0], 1.0)
            return losses.gbce(own, others, rate, CALIBRATION, weight), states, following
        probability = 0.5 / self._candidates.shape[0] + 0.5 * tf.gather(self._share, rows)
        return losses.sampled_softmax(own, others, count * probability, weight), states, following

    def vocabulary_embeddings(self) -> dict[str, list[tf.Variable]]:
        """Embeddings by the vocabulary that their rows stand for."""
        known = {"action": [self.actions.embeddings], "surface": [self.surfaces.embeddings]}
        return self.items.vocabulary() | known


def neutral(rows: int, dim: int) -> tf.keras.layers.Embedding:
    """An embedding that begins with zeros."""
    return tf.keras.layers.Embedding(rows, dim, embeddings_initializer="zeros")


def had_before(item: tf.Tensor, segment: tf.Tensor) -> tf.Tensor:
    """What the listener has had when each entry is over, the entry itself among it: `[b, l]` to `[b * l, l]`.

    Where there is less, an entry's own item fills the rest.
    """
    length = item.shape[1]
    seen = tf.where(visible(segment)[:, 0], item[:, None, :], item[:, :, None])  # [b, l, l]
    return tf.reshape(seen, [-1, length])

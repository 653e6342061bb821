"""SASRec as published (Kang and McAuley, ICDM 2018): binary cross-entropy with one negative for each positive.

The settings are the authors': width 50, two blocks of one head, learned positions, Adam at 0.001 with a second decay
of 0.98, batches of 128 listeners. For MovieLens 1M the model reads the last 200 entries with dropout 0.2; for the
authors' sparse data sets, of 7 to 12 entries per listener, the last 50 with dropout 0.5. Training stops after 20
epochs without a gain on validation, as the authors' does (but after at least 1,000 steps without a gain, since small
data sets have short epochs), or when its time is over.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.sequence.data import Requests, Sequences
from models.evaluation.metrics import ndcg_at
from models.fitting.loop import Model, fit, start
from models.fitting.training_state import History
from models.inputs.shards import Arrays
from models.inputs.towers import dropout
from segue.errors import InputError

WIDTH, BLOCKS, BATCH, LEARNING_RATE, SECOND_DECAY = 50, 2, 128, 1e-3, 0.98
EPOCHS = 1000  # most epochs of a training
PATIENCE, PATIENT_STEPS = 20, 1000  # training stops after this many epochs and steps without a gain
BLOCK = 250  # requests that are scored at once

keras = tf.keras


@dataclass(frozen=True)
class Setting:
    """The settings that the authors chose differently for each data set.

    Args:
        length: number of entries that are read from the end of a history.
        dropout: dropout of embeddings, attention weights and hidden values.
    """

    length: int
    dropout: float

    def to_dict(self) -> dict[str, Any]:
        """All settings, including those that are the same for every data set."""
        fixed = {"dim": WIDTH, "blocks": BLOCKS, "heads": 1, "batch_size": BATCH, "learning_rate": LEARNING_RATE}
        return {**fixed, "negatives": 1, "length": self.length, "dropout": self.dropout}


LONG, SPARSE = Setting(200, 0.2), Setting(50, 0.5)


def setting_of(data: Sequences) -> Setting:
    """The authors' setting for a data set: the sparse one where the mean listener has fewer entries than it reads."""
    return LONG if np.diff(data.training.offsets).mean() >= SPARSE.length else SPARSE


class SASRec(Model):
    """Causal self-attention over item and position embeddings; the item embeddings also score the next item.

    Args:
        items: number of items; row 0 of the embeddings is padding.
        setting: length and dropout.
    """

    def __init__(self, items: int, setting: Setting) -> None:
        super().__init__()
        self.setting = setting
        self.items = self.add_weight("items", [items + 1, WIDTH], initializer="glorot_uniform")
        self.positions = self.add_weight("positions", [setting.length, WIDTH], initializer="glorot_uniform")
        self.norms = [[keras.layers.LayerNormalization(epsilon=1e-8) for _ in range(2)] for _ in range(BLOCKS)]
        self.maps = [[keras.layers.Dense(WIDTH) for _ in range(3)] for _ in range(BLOCKS)]
        self.hidden = [keras.layers.Dense(WIDTH, "relu") for _ in range(BLOCKS)]
        self.out = [keras.layers.Dense(WIDTH) for _ in range(BLOCKS)]
        self.last = keras.layers.LayerNormalization(epsilon=1e-8)

    def states(self, item: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The state after each entry, `[b, length, 50]`, of rows of items `[b, length]` that are padded at the left."""
        salts = iter(range(1, 100))

        def drop(values: tf.Tensor) -> tf.Tensor:
            return dropout(values, self.setting.dropout, self.stateless_seed(next(salts)) if training else None)

        present = tf.cast(item > 0, tf.float32)[..., None]
        values = drop(tf.gather(self.items, item) * WIDTH**0.5 + self.positions) * present
        causal = tf.constant(np.tril(np.ones((self.setting.length, self.setting.length), bool)))
        visible = causal & (item > 0)[:, None, :]  # [b, length, length]
        for norms, maps, hidden, out in zip(self.norms, self.maps, self.hidden, self.out, strict=True):
            normed = norms[0](values)
            query, key, value = maps[0](normed), maps[1](values), maps[2](values)
            logits = tf.matmul(query, key, transpose_b=True) * WIDTH**-0.5
            weights = drop(tf.nn.softmax(tf.where(visible, logits, -1e9)))
            values = normed + tf.matmul(weights, value)
            normed = norms[1](values)
            values = (normed + drop(out(drop(hidden(normed))))) * present
        return self.last(values)

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Binary cross-entropy of `next_item` against `negative`, `[b, length]`, averaged over the next items."""
        states = self.states(inputs["item"], training)
        positive, negative = (
            tf.reduce_sum(states * tf.gather(self.items, inputs[name]), axis=2) for name in ("next_item", "negative")
        )
        weight = tf.cast(inputs["next_item"] > 0, tf.float32)
        losses = tf.nn.softplus(-positive) + tf.nn.softplus(negative)
        return tf.reduce_sum(losses * weight) / tf.maximum(tf.reduce_sum(weight), 1.0)

    @tf.function(reduce_retracing=True)
    def scores(self, item: tf.Tensor) -> tf.Tensor:
        """Scores of all items as the next one, `[b, items]`, for rows of items `[b, length]`."""
        return tf.matmul(self.states(item)[:, -1], self.items[1:], transpose_b=True)


@dataclass(frozen=True, eq=False)
class OneNegative:
    """Training rows: each listener's last entries, the next items, and one random negative for each next item.

    Args:
        item: entries, padded with 0 at the left, int32 `[listeners, length]`.
        next_item: the item that follows each entry, 0 where it is not a choice, int32 `[listeners, length]`.
        pairs: sorted codes of all pairs of a listener and an item that the listener had, int64; the code is
            listener * (items + 1) + item.
        items: number of items.
    """

    item: np.ndarray
    next_item: np.ndarray
    pairs: np.ndarray
    items: int

    @property
    def rows(self) -> int:
        """Number of listeners."""
        return len(self.item)

    def batches(self, batch_size: int, seed: int | None, epoch: int) -> Iterator[Arrays]:
        """Yield the batches of an epoch, in random order if there is a seed."""
        rng = np.random.default_rng(None if seed is None else [seed, epoch])
        order = np.arange(self.rows) if seed is None else rng.permutation(self.rows)
        for first in range(0, self.rows, batch_size):
            rows = order[first : first + batch_size]
            yield {"item": self.item[rows], "next_item": self.next_item[rows], "negative": self.negatives(rows, rng)}

    def negatives(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw items that the listeners never had, int32 `[b, length]`.

        An item is drawn again up to 100 times; a listener who had all items gets any item.
        """
        listener = np.broadcast_to(rows[:, None], (len(rows), self.item.shape[1]))
        drawn = rng.integers(1, self.items + 1, listener.shape, dtype=np.int32)
        for _ in range(100):
            pair = listener * np.int64(self.items + 1) + drawn
            wrong = self.pairs[np.minimum(np.searchsorted(self.pairs, pair), len(self.pairs) - 1)] == pair
            if not wrong.any():
                break
            drawn[wrong] = rng.integers(1, self.items + 1, int(wrong.sum()), dtype=np.int32)
        return drawn


def last_entries(item: np.ndarray, begin: np.ndarray, end: np.ndarray, length: int) -> np.ndarray:
    """The last `length` items between each listener's `begin` and `end`, padded with 0 at the left, `[n, length]`."""
    places = end[:, None] - length + np.arange(length)
    present = places >= begin[:, None]
    return np.where(present, item[np.where(present, places, 0)], 0).astype(np.int32)


def examples(data: Sequences, length: int) -> OneNegative:
    """Make the training rows of a data set; listeners with one entry are left out, as they have no next item.

    Raises:
        InputError: no listener has two entries.
    """
    h = data.training
    begin, end = h.offsets[:-1], h.offsets[1:]
    listeners = np.flatnonzero(end - begin > 1)
    if len(listeners) == 0:
        raise InputError(
            "SASRec learns from listeners with two entries before those held out. There are none.", "Give a longer log."
        )
    begin, end = begin[listeners], end[listeners]
    item = last_entries(h.item, begin, end - 1, length)
    place = np.full(len(h), -1)
    place[listeners] = np.arange(len(listeners))
    owner = place[np.repeat(np.arange(len(h)), np.diff(h.offsets))]
    pairs = np.unique(owner[owner >= 0] * np.int64(data.items.num_rows + 1) + h.item[owner >= 0])
    choices = np.where(h.target, h.item, 0)
    next_item = np.where(item > 0, last_entries(choices, begin + 1, end, length), 0)
    return OneNegative(item, next_item, pairs, data.items.num_rows)


def ranks(model: SASRec, data: Sequences, requests: Requests) -> np.ndarray:
    """The rank of each request's item among the candidates, 0 for the best, `[n]`."""
    h = data.histories
    item = last_entries(h.item, h.offsets[requests.listener], requests.entry, model.setting.length)
    return data.ranks(requests, lambda part, _: model.scores(tf.constant(item[part])).numpy(), BLOCK)


def train(
    data: Sequences, validation: Requests, minutes: float | None, seed: int, on_epoch
) -> tuple[SASRec, History, dict[str, Any], float]:
    """Train until validation shows no gain or the time is over.

    Args:
        data: the data set.
        validation: requests that choose the best epoch.
        minutes: most minutes of training; None sets no limit.
        seed: seed of the weights, the order and the negatives.
        on_epoch: called with each epoch's figures.

    Returns:
        The model of the best epoch, its history, its settings and the seconds that training took.
    """

    def pace(history: History) -> float | None:
        done = len(history["judged"])
        without_gain = done - 1 - int(np.argmax(history["judged"])) if done else 0
        over = minutes is not None and sum(history["seconds"]) >= 60 * minutes
        return None if without_gain >= patience or over else 1.0

    start(seed)
    setting = setting_of(data)
    rows = examples(data, setting.length)
    patience = max(PATIENCE, PATIENT_STEPS // -(-rows.rows // BATCH))
    model = SASRec(data.items.num_rows, setting)
    started = perf_counter()
    history = fit(
        model,
        rows,
        OneNegative(rows.item[:BLOCK], rows.next_item[:BLOCK], rows.pairs, rows.items),
        batch_size=BATCH,
        epochs=EPOCHS,
        learning_rate=LEARNING_RATE,
        second_decay=SECOND_DECAY,
        seed=seed,
        judge=lambda: float(ndcg_at(ranks(model, data, validation), 10).mean()),
        pace=pace,
        on_epoch=on_epoch,
    )
    return model, history, setting.to_dict(), perf_counter() - started

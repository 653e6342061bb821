"""SASRec as it was published (Kang and McAuley, ICDM 2018): one negative for each positive, binary cross-entropy.

The authors' settings: width 50, two blocks of one head, learned positions, Adam at 0.001 with a second decay of 0.98,
batches of 128 listeners; for MovieLens 1M the last 200 entries and dropout of 0.2, for their sparse sets, of 7 to 12
entries a listener, the last 50 and 0.5. Training stops when validation has shown no gain for as many epochs as the
authors wait, more of them where those are short, or when its time is over.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.sequence.data import Requests, Sequences
from models.evaluation.metrics import ndcg_at, rank_of_target
from models.fitting.loop import History, Model, fit, start
from models.inputs.shards import Arrays
from models.inputs.towers import dropout
from segue.errors import InputError

WIDTH, BLOCKS, BATCH, LEARNING_RATE, SECOND_DECAY = 50, 2, 128, 1e-3, 0.98
EPOCHS, PATIENCE, PATIENT_STEPS = 1000, 20, 1000  # without a gain: so many epochs, and steps
ASKED = 250  # requests scored at once

keras = tf.keras


@dataclass(frozen=True)
class Setting:
    """What the authors chose by data set.

    Args:
        length: entries that are read.
        dropout: of embeddings, attention and hidden values.
    """

    length: int
    dropout: float

    def to_dict(self) -> dict[str, Any]:
        """With what is the same for all."""
        fixed = {"dim": WIDTH, "blocks": BLOCKS, "heads": 1, "batch_size": BATCH, "learning_rate": LEARNING_RATE}
        return {**fixed, "negatives": 1, "length": self.length, "dropout": self.dropout}


LONG, SPARSE = Setting(200, 0.2), Setting(50, 0.5)


def setting_of(known: Sequences) -> Setting:
    """The authors' setting for a data set: the sparse one where listeners have fewer entries than it reads."""
    return LONG if np.diff(known.training.offsets).mean() >= SPARSE.length else SPARSE


class SASRec(Model):
    """Items and their places through causal self-attention; scored by the items' own embeddings.

    Args:
        items: there are; row 0 is nothing.
        setting: how much is read, and dropped.
    """

    def __init__(self, items: int, setting: Setting) -> None:
        super().__init__()
        self.setting = setting
        self.items = self.add_weight("items", [items + 1, WIDTH], initializer="glorot_uniform")
        self.places = self.add_weight("places", [setting.length, WIDTH], initializer="glorot_uniform")
        self.norms = [[keras.layers.LayerNormalization(epsilon=1e-8) for _ in range(2)] for _ in range(BLOCKS)]
        self.maps = [[keras.layers.Dense(WIDTH) for _ in range(3)] for _ in range(BLOCKS)]
        self.hidden = [keras.layers.Dense(WIDTH, "relu") for _ in range(BLOCKS)]
        self.out = [keras.layers.Dense(WIDTH) for _ in range(BLOCKS)]
        self.last = keras.layers.LayerNormalization(epsilon=1e-8)

    def states(self, item: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Rows of items `[b, length]`, padded at the left, to `[b, length, 50]`."""
        salts = iter(range(1, 100))

        def drop(values: tf.Tensor) -> tf.Tensor:
            return dropout(values, self.setting.dropout, self.stateless_seed(next(salts)) if training else None)

        present = tf.cast(item > 0, tf.float32)[..., None]
        values = drop(tf.gather(self.items, item) * WIDTH**0.5 + self.places) * present
        causal = tf.constant(np.tril(np.ones((self.setting.length, self.setting.length), bool)))
        looks = causal & (item > 0)[:, None, :]
        for norms, maps, hidden, out in zip(self.norms, self.maps, self.hidden, self.out, strict=True):
            normed = norms[0](values)
            query, key, value = maps[0](normed), maps[1](values), maps[2](values)
            logits = tf.matmul(query, key, transpose_b=True) * WIDTH**-0.5
            weights = drop(tf.nn.softmax(tf.where(looks, logits, -1e9)))
            values = normed + tf.matmul(weights, value)
            normed = norms[1](values)
            values = (normed + drop(out(drop(hidden(normed))))) * present
        return self.last(values)

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Binary cross-entropy of `next_item` and `negative` `[b, length]` where there is a next item."""
        states = self.states(inputs["item"], training)
        liked, drawn = (
            tf.reduce_sum(states * tf.gather(self.items, inputs[name]), axis=2) for name in ("next_item", "negative")
        )
        weight = tf.cast(inputs["next_item"] > 0, tf.float32)
        losses = tf.nn.softplus(-liked) + tf.nn.softplus(drawn)
        return tf.reduce_sum(losses * weight) / tf.maximum(tf.reduce_sum(weight), 1.0)

    @tf.function(reduce_retracing=True)
    def scores(self, item: tf.Tensor) -> tf.Tensor:
        """Rows of items `[b, length]` to the scores of all items `[b, items]`."""
        return tf.matmul(self.states(item)[:, -1], self.items[1:], transpose_b=True)


@dataclass(frozen=True, eq=False)
class OneNegative:
    """Each listener's last entries, with an item that the listener never had beside each next one.

    Args:
        item: rows `[listeners, length]`, padded at the left.
        next_item: what came after each.
        had: what each listener had, sorted: the listener times `items + 1`, plus the item's row; int64.
        items: there are.
    """

    item: np.ndarray
    next_item: np.ndarray
    had: np.ndarray
    items: int

    @property
    def rows(self) -> int:
        """Listeners."""
        return len(self.item)

    def batches(self, batch_size: int, seed: int | None, epoch: int) -> Iterator[Arrays]:
        """Batches of an epoch, in random order with a seed."""
        rng = np.random.default_rng(None if seed is None else [seed, epoch])
        order = np.arange(self.rows) if seed is None else rng.permutation(self.rows)
        for first in range(0, self.rows, batch_size):
            rows = order[first : first + batch_size]
            yield {"item": self.item[rows], "next_item": self.next_item[rows], "negative": self.negatives(rows, rng)}

    def negatives(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Items that the listeners never had, int32 `[b, length]`; one who had them all gets any."""
        listener = np.broadcast_to(rows[:, None], (len(rows), self.item.shape[1]))
        drawn = rng.integers(1, self.items + 1, listener.shape, dtype=np.int32)
        for _ in range(100):
            pair = listener * np.int64(self.items + 1) + drawn
            wrong = self.had[np.minimum(np.searchsorted(self.had, pair), len(self.had) - 1)] == pair
            if not wrong.any():
                break
            drawn[wrong] = rng.integers(1, self.items + 1, int(wrong.sum()), dtype=np.int32)
        return drawn


def last_entries(item: np.ndarray, begin: np.ndarray, end: np.ndarray, length: int) -> np.ndarray:
    """The last `length` items from `begin` up to `end` of each listener, at the right of rows of zeros."""
    places = end[:, None] - length + np.arange(length)
    present = places >= begin[:, None]
    return np.where(present, item[np.where(present, places, 0)], 0).astype(np.int32)


def examples(known: Sequences, length: int) -> OneNegative:
    """What training may see of a data set; listeners with one entry have nothing to predict.

    Raises:
        InputError: nobody has two.
    """
    h = known.training
    begin, end = h.offsets[:-1], h.offsets[1:]
    listeners = np.flatnonzero(end - begin > 1)
    if len(listeners) == 0:
        raise InputError(
            "SASRec learns from listeners with two entries before those held out; there are none.", "Give a longer log."
        )
    begin, end = begin[listeners], end[listeners]
    item = last_entries(h.item, begin, end - 1, length)
    place = np.full(len(h), -1)
    place[listeners] = np.arange(len(listeners))
    owner = place[np.repeat(np.arange(len(h)), np.diff(h.offsets))]
    had = np.unique(owner[owner >= 0] * np.int64(known.items.num_rows + 1) + h.item[owner >= 0])
    chosen = np.where(h.target, h.item, 0)
    following = np.where(item > 0, last_entries(chosen, begin + 1, end, length), 0)
    return OneNegative(item, following, had, known.items.num_rows)


def ranks(model: SASRec, known: Sequences, requests: Requests) -> np.ndarray:
    """The place of each request's item among the candidates."""
    h = known.histories
    item = last_entries(h.item, h.offsets[requests.listener], requests.entry, model.setting.length)
    had = known.known(requests)
    found = []
    for first in range(0, len(requests.item), ASKED):
        part = slice(first, first + ASKED)
        scores = model.scores(tf.constant(item[part])).numpy()
        if known.unseen:
            scores[had[part].nonzero()] = -np.inf
        found.append(rank_of_target(scores, requests.item[part]))
    return np.concatenate(found)


def train(
    known: Sequences, judged: Requests, minutes: float | None, seed: int, on_epoch
) -> tuple[SASRec, History, dict[str, Any], float]:
    """Train until validation shows no gain, or the time is over.

    Args:
        known: the data set.
        judged: validation requests by which an epoch is kept.
        minutes: of training, at most.
        seed: of weights, order and draws.
        on_epoch: called with each epoch's figures.

    Returns:
        The model, its history, its settings and the seconds that training took.
    """

    def pace(history: History) -> float | None:
        done = len(history["judged"])
        idle = done - 1 - int(np.argmax(history["judged"])) if done else 0
        over = minutes is not None and sum(history["seconds"]) >= 60 * minutes
        return None if idle >= patience or over else 1.0

    start(seed)
    setting = setting_of(known)
    rows = examples(known, setting.length)
    patience = max(PATIENCE, PATIENT_STEPS // -(-rows.rows // BATCH))
    model = SASRec(known.items.num_rows, setting)
    started = perf_counter()
    history = fit(
        model,
        rows,
        OneNegative(rows.item[:ASKED], rows.next_item[:ASKED], rows.had, rows.items),
        batch_size=BATCH,
        epochs=EPOCHS,
        learning_rate=LEARNING_RATE,
        second_decay=SECOND_DECAY,
        seed=seed,
        judge=lambda: float(ndcg_at(ranks(model, known, judged), 10).mean()),
        pace=pace,
        on_epoch=on_epoch,
    )
    return model, history, setting.to_dict(), perf_counter() - started

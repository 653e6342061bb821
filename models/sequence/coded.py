"""The sequence model with its generative head: one transformer, whose states both heads read."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from models.evaluation.metrics import ndcg_at
from models.fitting.loop import Model, create_weights
from models.fitting.loop import fit as fit_model
from models.fitting.training_state import History
from models.graph_function import graph_function
from models.inputs.shards import Shards
from models.sequence.codes import Codebook
from models.sequence.fit import BATCH, CODING, HeldOut, Pace, epochs_for, windows
from models.sequence.generative import CodeHead, CodeTree
from models.sequence.histories import Histories
from models.sequence.model import SequenceModel

LEARNING_RATE = 6e-3
ROUND, PATIENCE = 100, 3  # most steps of an epoch; epochs without a gain before training ends
NEAR = 0.99  # of the dense head's NDCG@10: the head cannot learn more than its teacher knows
LESS = 4  # a step has a quarter of the transformer's rows: learning a whole distribution per entry leaves little noise
BEAMS = 200  # kept at each level
JUDGED = 500  # choices that judge an epoch: decoding one takes as long as learning from thirty
GATHERED = 2**26  # figures that decoding several requests gathers at once: 256 MiB
DRAW = 0  # salt of the random draws


class CodedModel(Model):
    """A frozen sequence model with a generative head, which learns from the dense head to turn states into item codes.

    Args:
        sequence: the trained sequence model.
        book: the codes of its items, in the order of its catalogue.
    """

    def __init__(self, sequence: SequenceModel, book: Codebook) -> None:
        super().__init__()
        rows = np.arange(1, 1 + len(sequence.encoder.catalogue.ids), dtype=np.int32)
        self.sequence = sequence
        self.sequence.trainable = False
        self.tree = CodeTree(book.codes[: len(rows)], rows, sequence.item_vectors(rows).numpy())
        self.head = CodeHead(self.tree, sequence.config.dim)

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The loss of the entries with a `next_item`.

        In training it compares the head's codes with the codes that the dense head expects; otherwise it is the mean
        negative log probability of the next item's codes.
        """
        (embedded,) = self.sequence.items.distinct([inputs["item"]])
        states = tf.reshape(self.sequence.states(inputs, embedded), [-1, self.sequence.config.dim])
        target = tf.reshape(inputs["next_item"], [-1])
        kept = tf.where(target > 0)[:, 0]  # entries without a next item: half of a log with skips
        states, target = tf.stop_gradient(tf.gather(states, kept)), tf.gather(target, kept)
        weight = tf.ones_like(target, tf.float32)
        if not training:
            return self.head.loss(states, target, weight)
        drawn = tf.random.stateless_uniform(tf.shape(target), self.stateless_seed(DRAW))
        place, expected = self.head.expectations(states, drawn)
        return self.head.imitate(states, place, expected, weight)

    @graph_function(reduce_retracing=True)
    def decode(self, inputs: dict[str, tf.Tensor], excluded: tf.Tensor) -> tf.Tensor:
        """Catalogue rows of the likeliest next items, int32 `[b, 200]`, without the rows `excluded` `[b, m]`."""
        (embedded,) = self.sequence.items.distinct([inputs["item"]])
        state = self.sequence.state(inputs, embedded)
        rows = tf.shape(self.tree.places)[0]
        count = tf.shape(excluded)[0]
        listener = tf.broadcast_to(tf.range(count)[:, None], tf.shape(excluded))
        mask = tf.scatter_nd(tf.stack([listener, excluded], axis=2), tf.ones_like(excluded), [count, rows])
        return self.head.search(state, BEAMS, mask == 0)[0]


def generated_ranks(model: CodedModel, held_out: HeldOut) -> np.ndarray:
    """The rank of each held-out choice in the decoded list, `[n]`; infinite if the list does not hold it."""
    places = []
    size = max(1, min(BATCH, GATHERED // (BEAMS * max(model.tree.widths[1:]) * model.sequence.config.dim)))
    for first in range(0, len(held_out.item), size):
        part = slice(first, first + size)
        inputs = {name: tf.constant(values[part]) for name, values in held_out.inputs.items()}
        rows = model.decode(inputs, tf.constant(held_out.excluded(part))).numpy()
        hit = rows == held_out.item[part, None]
        places.append(np.where(hit.any(axis=1), hit.argmax(axis=1), np.inf))
    return np.concatenate(places)


def fit_codes(
    sequence: SequenceModel,
    histories: Histories,
    held_out: HeldOut,
    book: Codebook | None,
    seed: int,
    *,
    checkpoints: Path | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> tuple[CodedModel, Codebook, History]:
    """Give the items codes and train the generative head on a trained sequence model's states.

    Args:
        sequence: the trained sequence model, which does not change.
        histories: interactions of the train span.
        held_out: later choices; the epoch of the best NDCG@10 on `JUDGED` of them is kept.
        book: codes that items keep; new codes are made if it is None or holds none of the items.
        seed: seed of initial weights, cuts and order.
        checkpoints: a folder that training resumes from.
        on_epoch: called after each epoch with its figures.

    Returns:
        The model, the codes of its items, and its history, as `fit` gives it.
    """
    ids = sequence.encoder.catalogue.ids.to_pylist()
    rows = np.arange(1, len(ids) + 1, dtype=np.int32)
    vectors = sequence.item_vectors(rows).numpy()
    kept = book is not None and not set(ids).isdisjoint(book.ids)
    book = book.extend(ids, vectors) if book and kept else Codebook.fit(ids, vectors, seed)
    config = sequence.config
    tf.keras.utils.set_random_seed(seed)
    model = CodedModel(sequence, book)
    validation = Shards.of(held_out.batch())
    judged = held_out.some(JUDGED)
    taught = float(ndcg_at(judged.ranks(sequence), 10).mean())
    create_weights(model, validation)
    examples = windows(histories, config)
    epochs = epochs_for(examples.rows, config)
    history = fit_model(
        model,
        replace(examples, steps=ROUND),
        validation,
        batch_size=max(1, config.batch_size // LESS),
        epochs=epochs,
        learning_rate=LEARNING_RATE,
        seed=seed,
        checkpoints=checkpoints,
        judge=lambda: float(ndcg_at(generated_ranks(model, judged), 10).mean()),
        pace=Pace(epochs, 60 * config.minutes * CODING, PATIENCE, NEAR * taught),
        on_epoch=on_epoch,
        name="codes",
    )
    return model, book, history

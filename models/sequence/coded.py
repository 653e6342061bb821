"""The sequence model with its generative head: one transformer, whose states both heads read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from models.metrics import ndcg_at
from models.sequence.codes import Codebook
from models.sequence.fit import BATCH, HeldOut, Pace, windows
from models.sequence.generative import CodeHead, CodeTree
from models.sequence.histories import Histories
from models.sequence.model import SequenceModel
from models.shards import Shards
from models.training import History, Model, create_weights
from models.training import fit as fit_model

EPOCHS = 30  # at most; the transformer is trained already
LEARNING_RATE = 1e-3
BEAMS = 200


class CodedModel(Model):
    """A trained sequence model, frozen, and a head that decodes its states to codes.

    Args:
        sequence: the trained model.
        tree: codes of the items that can be decoded.
        centroids: of the codes, made of the model's own item vectors.
    """

    def __init__(self, sequence: SequenceModel, tree: CodeTree, centroids: list[np.ndarray]) -> None:
        super().__init__()
        self.sequence = sequence
        self.sequence.trainable = False
        self.tree = tree
        self.head = CodeHead(tree, sequence.config.dim, centroids)

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Mean negative log probability of the codes of `next_item`, where there is one."""
        (embedded,) = self.sequence.items.distinct([inputs["item"]])
        states = tf.reshape(self.sequence.states(inputs, embedded), [-1, self.sequence.config.dim])
        target = tf.reshape(inputs["next_item"], [-1])
        return self.head.loss(tf.stop_gradient(states), target, tf.cast(target > 0, tf.float32))

    @tf.function(reduce_retracing=True)
    def decode(self, inputs: dict[str, tf.Tensor], known: tf.Tensor) -> tf.Tensor:
        """The likeliest items after the last entry of each row, less `known` `[b, m]`: rows int32 `[b, 200]`."""
        (embedded,) = self.sequence.items.distinct([inputs["item"]])
        state = self.sequence.states(inputs, embedded)[:, -1]
        return self.head.search(state, BEAMS, lambda rows: rows_apart(rows, known))[0]


def rows_apart(rows: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    """Which of `rows` `[b, n]` are not among `known` `[b, m]`, bool `[b, n]`."""
    order = tf.sort(known, axis=1)
    place = tf.searchsorted(order, rows)
    found = tf.gather(order, tf.minimum(place, tf.shape(order)[1] - 1), batch_dims=1)
    return found != rows


def generated_ranks(model: CodedModel, held_out: HeldOut) -> np.ndarray:
    """The place of each held-out choice in what is decoded; infinite if it is not found: `[n]`."""
    places = []
    for first in range(0, len(held_out.item), BATCH):
        part = slice(first, first + BATCH)
        inputs = {name: tf.constant(values[part]) for name, values in held_out.inputs.items()}
        rows = model.decode(inputs, tf.constant(held_out.excluded(part))).numpy()
        hit = rows == held_out.item[part, None]
        places.append(np.where(hit.any(axis=1), hit.argmax(axis=1), np.inf))
    return np.concatenate(places)


def fit_codes(
    sequence: SequenceModel,
    histories: Histories,
    held_out: HeldOut,
    book: Codebook,
    seed: int,
    *,
    epochs: int = EPOCHS,
    seconds: float | None = None,
    checkpoints: Path | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> tuple[CodedModel, History]:
    """Train the generative head on a trained sequence model's states.

    Args:
        sequence: it stays as it is.
        histories: of the train span.
        held_out: later choices; the epoch of the best NDCG@10 on them is kept.
        book: codes of the model's item vectors, the items of the catalogue in its order first.
        seed: of initial weights, cuts and order.
        epochs: at most.
        seconds: of training, at most.
        checkpoints: a folder that training resumes from.
        on_epoch: called after each epoch with its figures.

    Returns:
        The model and its history, as `fit` gives it.
    """
    rows = np.arange(1, len(sequence.encoder.catalogue.known) + 1)
    config = sequence.config
    tf.keras.utils.set_random_seed(seed)
    model = CodedModel(sequence, CodeTree(book.codes[: len(rows)], rows), book.centroids)
    validation = Shards.of(held_out.batch())
    create_weights(model, validation)
    history = fit_model(
        model,
        windows(histories, config),
        validation,
        batch_size=config.batch_size,
        epochs=epochs,
        learning_rate=LEARNING_RATE,
        seed=seed,
        checkpoints=checkpoints,
        judge=lambda: float(ndcg_at(generated_ranks(model, held_out), 10).mean()),
        pace=Pace(epochs, seconds),
        on_epoch=on_epoch,
    )
    return model, history

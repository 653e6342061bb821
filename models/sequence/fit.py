"""Train the sequence model: the learning rate is steady until validation stops improving, and then falls to 0."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_matrix

from models.evaluation.metrics import ndcg_at, rank_of_target
from models.fitting.loop import create_weights, start
from models.fitting.loop import fit as fit_model
from models.fitting.training_state import History
from models.inputs.encoder import Encoder
from models.inputs.shards import Arrays, Shards
from models.sequence.histories import Histories, Windows
from models.sequence.initial import begin
from models.sequence.model import SequenceModel
from models.training_config import SequenceConfig

PATIENCE = 8  # epochs without a gain after which the rate falls
STEADY = 0.6  # share of the epochs, or of the time, after which it falls in any case
CODING = 0.15  # share of the time that is the generative head's
# An epoch has 10 to 250 steps, so short logs are not over-evaluated and long ones are evaluated within the budget.
STEPS, MOST = 10, 250
# On the synthetic world `small`, 12 epochs (250 steps) reach an NDCG@10 of 0.0314 on the validation span in 111 CPU
# seconds; a budget of 100 epochs, which early stopping ended, reached 0.0325 in 314 s on two cores.
TRAINING_STEPS = 250
EPOCHS = 12, 100  # the least and the most that are taken of a log
BATCH = 250


@dataclass(frozen=True)
class Pace:
    """The learning rate of each epoch, as a share: 1 until held-out choices stop improving, then down to 0.

    The fall starts from the weights of the best epoch and takes two thirds of the epochs up to it, so that it ends with
    the budget if the budget starts it (warmup-free WSD: Hägele et al., NeurIPS 2024). The schedule needs no horizon, so
    one configuration serves short logs and long ones.
    """

    epochs: int
    seconds: float
    patience: int = PATIENCE
    enough: float = np.inf

    def __call__(self, history: History) -> float | None:
        """The share for the next epoch, from the figures of the epochs so far; None after the last epoch."""
        done = len(history["judged"])
        begin = next((epoch for epoch in range(1, done + 1) if self.falls_after(history, epoch)), None)
        if begin is None:
            return 1.0
        best = 1 + int(np.argmax(history["judged"][:begin]))
        taken = history["seconds"][:begin]
        left = round((self.seconds - sum(taken)) * begin / sum(taken))  # epochs that there is time for
        length = min(max(1, round(best * (1 - STEADY) / STEADY)), left)
        return None if done - begin >= max(length, 0) else 1.0 - (done - begin + 1) / (length + 1)

    def falls_after(self, history: History, epoch: int) -> bool:
        """Whether the fall begins after an epoch, counted from 1, if it has not begun before."""
        judged = history["judged"][:epoch]
        idle = epoch - 1 - int(np.argmax(judged))
        taken = history["seconds"][:epoch]
        spent = max(epoch / self.epochs, (sum(taken) + taken[-1] / 2) / self.seconds)  # to half an epoch
        return idle >= self.patience or max(judged) >= self.enough or spent >= STEADY


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Held-out choices, which decide when training stops, and the candidates that each choice is ranked among.

    Args:
        inputs: the histories as `histories.requests` returns them, `[n, length]` each.
        item: the catalogue row of each chosen item, int `[n]`.
        candidates: catalogue rows of all candidates, int32 `[items]`.
        excluded_mask: not 0 where an item is no candidate for a choice, `[n, items]`; None if all items are.
    """

    inputs: Arrays
    item: np.ndarray
    candidates: np.ndarray
    excluded_mask: csr_matrix | None

    def batch(self) -> Arrays:
        """The first choices as a training batch, whose rows predict only the item after the last entry."""
        inputs = {name: values[:BATCH] for name, values in self.inputs.items()}
        following = np.zeros_like(inputs["item"])
        following[:, -1] = self.item[:BATCH]
        nothing, even = np.zeros_like(following), np.ones(following.shape, np.float32)
        return {**inputs, "next_item": following, "next_entry": nothing, "next_action": nothing, "weight": even}

    def some(self, count: int) -> "HeldOut":
        """About `count` choices at even distances, or all if there are fewer."""
        each = slice(None, None, max(1, len(self.item) // count))
        inputs = {name: values[each] for name, values in self.inputs.items()}
        mask = None if self.excluded_mask is None else self.excluded_mask[each]
        return HeldOut(inputs, self.item[each], self.candidates, mask)

    def excluded(self, part: slice) -> np.ndarray:
        """Catalogue rows that are no candidates for the choices of a slice, int32 `[b, m]`, padded with 0."""
        if self.excluded_mask is None:
            return np.zeros((len(self.item[part]), 1), np.int32)
        mask = self.excluded_mask[part]
        lengths = np.diff(mask.indptr)
        out = np.zeros((len(lengths), max(1, lengths.max(initial=0))), np.int32)
        out[np.arange(out.shape[1]) < lengths[:, None]] = self.candidates[mask.indices]
        return out

    def ranks(self, model: SequenceModel) -> np.ndarray:
        """The rank of each choice among its candidates, `[n]`; 0 is the best."""
        vectors = model.item_vectors(tf.constant(self.candidates)).numpy()
        place = np.zeros(self.candidates.max() + 1, np.int64)
        place[self.candidates] = np.arange(len(self.candidates))
        ranks = []
        for first in range(0, len(self.item), BATCH):
            part = slice(first, first + BATCH)
            inputs = {name: tf.constant(values[part]) for name, values in self.inputs.items()}
            scores = model.listener_vectors(inputs).numpy() @ vectors.T
            if self.excluded_mask is not None:
                scores[self.excluded_mask[part].nonzero()] = -np.inf
            ranks.append(rank_of_target(scores, place[self.item[part]]))
        return np.concatenate(ranks)


def windows(histories: Histories, config: SequenceConfig) -> Windows:
    """The training examples: an epoch passes several times over a short log, and has `STEPS` to `MOST` steps."""
    once = Windows(histories, config.length, steps=MOST)
    return replace(once, passes=max(1, -(-STEPS * config.batch_size // max(once.rows, 1))))


def epochs_for(rows: int, config: SequenceConfig) -> int:
    """How many epochs training may take: the configured number, or as many as make `TRAINING_STEPS` steps of a log.

    Args:
        rows: rows of an epoch, `Windows.rows`.
        config: sizes; its `epochs` of 0 asks for a number that fits the log.
    """
    if config.epochs:
        return config.epochs
    steps = min(MOST, max(1, rows // config.batch_size))
    return int(np.clip(-(-TRAINING_STEPS // steps), *EPOCHS))


def fit(
    histories: Histories,
    held_out: HeldOut,
    encoder: Encoder,
    config: SequenceConfig,
    seed: int,
    *,
    unseen: bool = False,
    checkpoints: Path | None = None,
    prepare: Callable[[SequenceModel], object] = lambda model: None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> tuple[SequenceModel, History]:
    """Train the sequence model.

    Args:
        histories: interactions of the train span.
        held_out: later choices; the epoch with the best NDCG@10 on them is kept.
        encoder: encodes items, actions and surfaces.
        config: sizes and rates.
        seed: seed of the initial weights, the cuts, the order of rows and all random draws.
        unseen: whether answers leave out items of the listener's history.
        checkpoints: a folder that training resumes from.
        prepare: called with the new model before training, for a warm start in place of `initial.begin`.
        on_epoch: called after each epoch with its figures.

    Returns:
        The model and its history: `loss`, `val_loss`, `judged`, `seconds`, `examples_per_second` by epoch; an example
        is a row of `config.length` entries.
    """
    start(seed)
    rows = encoder.catalogue.release_ts.shape[0]
    counts = np.bincount(histories.item, minlength=rows)
    model = SequenceModel(encoder, config, counts, histories.timed, unseen)
    validation = Shards.of(held_out.batch())
    create_weights(model, validation)
    begin(model, histories, seed)
    prepare(model)
    examples = windows(histories, config)
    epochs = epochs_for(examples.rows, config)
    history = fit_model(
        model,
        examples,
        validation,
        batch_size=config.batch_size,
        epochs=epochs,
        learning_rate=config.learning_rate,
        seed=seed,
        checkpoints=checkpoints,
        judge=lambda: float(ndcg_at(held_out.ranks(model), 10).mean()),
        pace=Pace(epochs, 60 * config.minutes * (1 - CODING)),
        on_epoch=on_epoch,
        name="sequence",
    )
    return model, history

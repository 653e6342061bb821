"""What training any model shares: the loop, early stopping, and checkpoints that it resumes from."""

import math
import os
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from models.inputs.shards import Arrays, Examples
from segue.errors import InputError, SegueError
from segue.files import TEMPORARY, atomic_path, read_json, write_json
from segue.progress import Progress, duration

History = dict[str, list[float]]

FIGURES = ("loss", "val_loss", "judged", "seconds", "examples_per_second")
CONFIGURATION = "training.json"  # which training a folder's checkpoints belong to
# What NumPy raises on a file that is cut short or overwritten.
DAMAGED = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile)


class Model(tfrs.models.Model):
    """A TFRS model whose randomness is a function of seed and step, so that training can be resumed.

    Attributes:
        step: optimizer steps made, int64. While the held-out loss is taken it counts that part's
            batches from 0, so that all epochs are judged by the same draws.
        seed: of the draws; `fit` sets it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.step = tf.Variable(0, trainable=False, dtype=tf.int64, name="step")
        self.seed = 0

    def stateless_seed(self, salt: int) -> tf.Tensor:
        """A seed for `tf.random.stateless_*` at this step, int64 `[2]`.

        Args:
            salt: tells the model's draws apart, `0 <= salt < 2**31`; draws of one salt and step are equal.
        """
        return tf.stack([tf.constant(self.seed + (salt << 32), tf.int64), self.step])


def fit(
    model: Model,
    train: Examples,
    validation: Examples,
    *,
    batch_size: int,
    epochs: int,
    learning_rate: float,
    seed: int,
    second_decay: float = 0.999,
    patience: int = 2,
    checkpoints: Path | None = None,
    judge: Callable[[], float] | None = None,
    pace: Callable[[History], float | None] | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    seconds: float = math.inf,
    name: str = "training",
    progress: Progress | None = None,
) -> History:
    """Train with Adam (Kingma and Ba, ICLR 2015) until the held-out part shows no gain; keep the best epoch's weights.

    With `checkpoints`, the state is written there after every epoch, and training goes on from the
    newest whole state that the folder holds: a resumed training gives what an uninterrupted one
    does, provided that the model draws all its randomness from `Model.stateless_seed`.

    Args:
        model: its `compute_loss` is minimised, with what its layers' regularizers add.
        train: encoded examples.
        validation: the same of later time; in order, nothing dropped.
        batch_size: rows of a step; also of a held-out batch.
        epochs: at most.
        learning_rate: of Adam.
        seed: of the examples' order and the model's draws, `0 <= seed < 2**32`; the initial weights
            are the caller's.
        second_decay: of Adam: how much of the mean square of gradients stays at a step.
        patience: epochs without a gain after which training stops.
        checkpoints: a folder of this training alone.
        judge: how good the model is now, on later time; more is better. Without it, the held-out loss tells.
        pace: what the learning rate is multiplied by in the next epoch, given the history; None ends training. When it
            falls below 1, training goes on from the best epoch: what came after learned by heart. Without it, the rate
            is the same until `patience` ends training.
        on_epoch: called after each epoch that is trained here, with `epoch` (from 1) and its figures.
        seconds: no epoch begins that would likely end later than this, counted in those of all epochs; the first one
            is always trained.
        name: of the model, for the log.
        progress: what says how far training has come; one of the monotonic clock by default.

    Returns:
        By epoch: `loss` and `val_loss` (means over rows), `judged`, `seconds` (the whole epoch) and
        `examples_per_second` (of the training steps).

    Raises:
        InputError: a part without rows, or checkpoints of another training.
        SegueError: the loss is no longer finite.
    """
    for role, part in (("training", train), ("held-out", validation)):
        if part.rows == 0:
            raise InputError(f"The {role} part needs at least one example; it has none.", "Import a longer log.")
    model.seed = seed
    model.step.assign(0)
    optimizer = tf.keras.optimizers.legacy.Adam(learning_rate, beta_2=second_decay)
    step, held_out = functions(model, optimizer, train)
    state = State(model, optimizer, checkpoints)
    state.resume({
        "seed": seed,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "judged": judge is not None,
        "rows": train.rows,
        "validation_rows": validation.rows,
        "weights": [weights.shape.as_list() for weights in model.weights],
    })  # fmt: skip
    progress = progress or Progress()
    limit = f" or {duration(seconds)}" if math.isfinite(seconds) else ""
    progress.now(f"{name}: at most {epochs} epochs{limit} over {train.rows:,} examples")
    while state.epoch < epochs and not (pace is None and state.exhausted(patience)):
        epoch = state.epoch
        taken = state.history["seconds"]
        if epoch and sum(taken) + taken[-1] > seconds:
            progress.now(
                f"{name}: stopped after {epoch} of {epochs} epochs: {duration(seconds)} would not do for another"
            )
            break
        if pace is not None:
            share = pace(state.history)
            if share is None:
                break
            if epoch and share < 1.0 == pace({name: values[:-1] for name, values in state.history.items()}):
                model.set_weights(state.best)
            optimizer.learning_rate.assign(learning_rate * share)
        started = time.perf_counter()
        where = f"{name}, epoch {epoch + 1}/{epochs}"
        tell = telling(progress, where, train.rows, epochs - epoch, seconds - sum(taken))
        loss, rows = mean_loss(step, train.batches(batch_size, seed, epoch), model, "training", tell)
        trained = time.perf_counter()
        val_loss = held_out_loss(model, held_out, validation, batch_size)
        judged = -val_loss if judge is None else judge()
        if not math.isfinite(judged):
            raise SegueError(f"The judge's figure must be finite; it is {judged}.", "Lower the learning rate.")
        figures = (loss, val_loss, judged, time.perf_counter() - started, rows / (trained - started))
        known = dict(zip(FIGURES, figures, strict=True))
        state.add(known)
        progress.now(
            f"epoch {epoch + 1}/{epochs}: loss {loss:.4f}, val_loss {val_loss:.4f}, judged {judged:.4f}, "
            f"{known['seconds']:.1f} s, {known['examples_per_second']:,.0f} examples/s"
        )
        if on_epoch is not None:
            on_epoch({"epoch": epoch + 1, **known})
    model.set_weights(state.best)
    return state.history


def start(seed: int) -> None:
    """Before a model is built: make its initial weights and its layers' names those of the seed.

    Graphs are optimized in the order of names, and so sums in it: without it the second model of a process would
    differ from the first in the last digits.
    """
    tf.keras.utils.set_random_seed(seed)
    tf.keras.backend.reset_uids()


def create_weights(model: Model, examples: Examples) -> None:
    """Make a new model's variables, as `fit` would, without a step; what is to start warm needs them.

    Args:
        model: whose `compute_loss` makes them.
        examples: encoded examples; only their shapes count.
    """
    loss = lambda batch: model.compute_loss(batch, training=True)  # noqa: E731
    tf.function(loss).get_concrete_function(specs(examples))


def specs(examples: Examples) -> dict[str, tf.TensorSpec]:
    """Names, shapes and types of a batch of any size."""
    first = next(examples.batches(1, None, 0))
    return {name: tf.TensorSpec([None, *values.shape[1:]], values.dtype, name) for name, values in first.items()}


def functions(model: Model, optimizer, examples: Examples) -> tuple[Callable, Callable]:
    """The training step and the held-out loss, batch to loss; weights and slots are made here."""
    signature = [specs(examples)]

    @tf.function(input_signature=signature)
    def step(batch):
        with tf.GradientTape() as tape:
            loss = tf.add_n([model.compute_loss(batch, training=True), *model.losses])
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        # Adam updates every row either way. On a table of 40,000 x 64 with 50,000 rows looked up, the
        # dense kernel takes 0.4 of the time of the sparse path, and 0.6 of an update of the batch's
        # rows alone.
        optimizer.apply_gradients(
            (tf.convert_to_tensor(gradient), variable)
            for gradient, variable in zip(gradients, variables, strict=True)
            if gradient is not None
        )
        model.step.assign_add(1)
        return loss

    @tf.function(input_signature=signature)
    def held_out(batch):
        loss = model.compute_loss(batch, training=False)
        model.step.assign_add(1)
        return loss

    step.get_concrete_function()
    return step, held_out


def tensors(batch: Arrays) -> dict[str, tf.Tensor]:
    """A batch as tensors. Feeding costs 1 % of a step: a thread or a `tf.data` pipeline gains nothing."""
    return {name: tf.constant(values) for name, values in batch.items()}


def allowed(minutes: float, epochs: int, rows: int, slowest: int) -> float:
    """Seconds that a training may take.

    Args:
        minutes: if they are stated; 0 takes what all epochs take at the slowest pace that is put up with.
        epochs: at most.
        rows: of an epoch.
        slowest: that pace, examples a second; a machine of two cores is several times as fast, so that the time is no
            limit there and what is trained does not depend on it.

    Returns:
        A minute at least, where nothing is stated.
    """
    return 60 * minutes if minutes else max(60.0, epochs * rows / slowest)


def telling(progress: Progress, where: str, rows: int, epochs: int, seconds: float) -> Callable[[int, float], None]:
    """What says how far an epoch has come, when it has been silent for long.

    Args:
        progress: what says it.
        where: the model and the epoch.
        rows: of an epoch, about.
        epochs: that are left at most, this one among them.
        seconds: that are left at most.

    Returns:
        A function of the rows done and their mean loss.
    """
    begun = progress.passed()

    def tell(done: int, loss: float) -> None:
        spent = progress.passed() - begun
        left = min(spent * max(epochs * rows / done - 1, 0), seconds - spent)
        share = min(done / max(rows, 1), 1.0)
        progress(lambda: f"{where}: {share:.0%}, loss {loss:.4f}, at most {duration(max(left, 0))} left")

    return tell


def mean_loss(
    function: Callable,
    batches: Iterable[Arrays],
    model: Model,
    part: str,
    tell: Callable[[int, float], None] = lambda rows, loss: None,
) -> tuple[float, int]:
    """Call a function of a batch for each batch; the mean loss over rows, and how many they are.

    Args:
        function: a batch to its loss.
        batches: at least one.
        model: whose step a message names.
        part: which examples they are.
        tell: called after each batch with the rows so far and their mean loss.

    Raises:
        SegueError: a loss is not finite.
    """
    total, rows = 0.0, 0
    for batch in batches:
        loss, size = float(function(tensors(batch))), len(next(iter(batch.values())))
        if not math.isfinite(loss):
            raise SegueError(
                f"The {part} loss must be finite; it is {loss} at step {int(model.step)}.",
                "Lower the learning rate, and look for extreme values in the features.",
            )
        total, rows = total + loss * size, rows + size
        tell(rows, total / rows)
    return total / rows, rows


def held_out_loss(model: Model, function: Callable, validation: Examples, batch_size: int) -> float:
    """The mean loss over the rows of the held-out part, by the same draws each time."""
    trained = int(model.step)
    model.step.assign(0)
    loss, _ = mean_loss(function, validation.batches(batch_size, None, 0), model, "held-out")
    model.step.assign(trained)
    return loss


class State:
    """What training has reached: history, best weights, and their files.

    Args:
        model: its weights are all made.
        optimizer: its slots are all made.
        folder: of the checkpoints, one `.npz` file an epoch; None keeps none.
    """

    def __init__(self, model: Model, optimizer, folder: Path | None) -> None:
        self.model = model
        self.optimizer = optimizer
        self.folder = folder
        self.history: History = {name: [] for name in FIGURES}
        self.best: list[np.ndarray] = model.get_weights()

    @property
    def epoch(self) -> int:
        """Epochs made."""
        return len(self.history["val_loss"])

    def exhausted(self, patience: int) -> bool:
        """Whether no epoch has been judged better for `patience` epochs."""
        return self.epoch - best_epoch(self.history) >= patience if self.epoch else False

    def add(self, figures: dict[str, float]) -> None:
        """Take note of an epoch's figures and of the weights after it; write a checkpoint."""
        for name, value in figures.items():
            self.history[name].append(value)
        best = best_epoch(self.history)
        if best == self.epoch:
            self.best = self.model.get_weights()
        if self.folder is None:
            return
        arrays: dict[str, Any] = {
            "history": np.array([self.history[name] for name in FIGURES]),
            **numbered("weight", self.model.get_weights()),
            **numbered("slot", self.optimizer.get_weights()),
        }
        with atomic_path(self.file(self.epoch)) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())  # the older ones go next
        kept = {self.file(self.epoch), self.file(best)}
        for path in {*self.folder.glob("epoch-*.npz"), *self.folder.glob(f"{TEMPORARY}epoch-*")} - kept:
            path.unlink()

    def resume(self, configuration: dict) -> None:
        """Go on from the newest whole checkpoint; a damaged one is passed over for the one before.

        Args:
            configuration: what this training is, as JSON types.

        Raises:
            InputError: the checkpoints belong to another training.
        """
        if self.folder is None:
            return
        saved = self.folder / CONFIGURATION
        if not saved.exists():
            write_json(saved, configuration)
        demand_same(read_json(saved), configuration, self.folder)
        for path in sorted(self.folder.glob("epoch-*.npz"), reverse=True):
            try:
                history, weights, slots = read_checkpoint(path)
                best = best_epoch(history)
                self.best = weights if path == self.file(best) else read_checkpoint(self.file(best))[1]
            except DAMAGED as error:
                print(f"The checkpoint {path} is damaged ({error}) and passed over.", flush=True)
                continue
            self.model.set_weights(weights)
            self.optimizer.set_weights(slots)
            self.history = history
            return

    def file(self, epoch: int) -> Path:
        """Where the checkpoint of an epoch (from 1) lies."""
        assert self.folder is not None
        return self.folder / f"epoch-{epoch:05}.npz"


def best_epoch(history: History) -> int:
    """The first epoch (from 1) that was judged best."""
    return 1 + int(np.argmax(history["judged"]))


def numbered(kind: str, arrays: list[np.ndarray]) -> Arrays:
    """Arrays under names that keep their order."""
    return {f"{kind}-{index:05}": array for index, array in enumerate(arrays)}


def read_checkpoint(path: Path) -> tuple[History, list[np.ndarray], list[np.ndarray]]:
    """History, weights and optimizer slots in a file.

    Raises:
        one of `DAMAGED`: it is not whole.
    """
    with np.load(path, allow_pickle=False) as file:
        history = dict(zip(FIGURES, file["history"].tolist(), strict=True))
        weights, slots = ([file[name] for name in sorted(file) if name.startswith(kind)] for kind in ("weight", "slot"))
    return history, weights, slots


def demand_same(saved: dict, configuration: dict, folder: Path) -> None:
    """Refuse checkpoints of another training.

    Raises:
        InputError: the configurations differ.
    """
    names = [name for name in configuration if saved.get(name) != configuration[name]]
    if names:
        differing = "; ".join(f"{name} was {saved.get(name)} and is {configuration[name]}" for name in names)
        raise InputError(
            f"The checkpoints in {folder} must be of the same training: {differing}.",
            "Remove the folder to train anew, or restore the configuration.",
        )

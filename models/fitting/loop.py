"""The training loop that all models share: early stopping, a time limit, and resuming from checkpoints."""

import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import tensorflow as tf
import tensorflow_recommenders as tfrs

from models.fitting.training_state import EPOCH_FIGURES, History, TrainingState
from models.inputs.shards import Arrays, Examples
from segue.errors import InputError, SegueError
from segue.progress import Progress, duration


class Model(tfrs.models.Model):
    """A TFRS model whose random draws depend only on seed and step, so that training can be resumed.

    Attributes:
        step: the number of optimizer steps so far, int64. During the held-out loss it counts the held-out batches from
            0, so that every epoch is judged with the same draws.
        seed: the seed of the draws, which `fit` sets.
    """

    def __init__(self) -> None:
        super().__init__()
        self.step = tf.Variable(0, trainable=False, dtype=tf.int64, name="step")
        self.seed = 0

    def stateless_seed(self, salt: int) -> tf.Tensor:
        """Return a seed for `tf.random.stateless_*` at this step, int64 `[2]`.

        Args:
            salt: identifies one draw of the model, `0 <= salt < 2**31`. Draws with the same salt and step are equal.
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
    """Train with Adam (Kingma and Ba, ICLR 2015), stop early, and leave the weights of the best epoch in the model.

    With `checkpoints`, the state of the training is saved after every epoch, and training continues from the newest
    undamaged checkpoint. A resumed training gives the same weights as an uninterrupted training if the model takes all
    its random draws from `Model.stateless_seed`.

    Args:
        model: the model; `fit` minimises its `compute_loss` plus its regularization losses.
        train: encoded examples.
        validation: encoded examples of later time. They are read in order and without dropout.
        batch_size: examples of a training step and of a held-out batch.
        epochs: the largest number of epochs.
        learning_rate: the learning rate of Adam.
        seed: seed of the order of the examples and of the model's draws, `0 <= seed < 2**32`. The caller makes the
            initial weights.
        second_decay: Adam's beta 2, the decay of the mean squared gradient.
        patience: training stops after this many epochs without improvement.
        checkpoints: a folder for the checkpoints of this training only.
        judge: returns the quality of the model on later time; higher is better. By default, the negative held-out loss.
        pace: returns the factor on the learning rate for the next epoch from the history, or None to end training. When
            the factor first falls below 1, training continues from the best epoch, because the epochs after it
            overfitted. By default, the rate is constant and `patience` ends training.
        on_epoch: called after each epoch of this call with `epoch` (from 1) and the figures of the epoch.
        seconds: time limit. No epoch starts that would probably exceed it; the time of epochs before a resume counts.
            The first epoch is always trained.
        name: the name of the model in log lines.
        progress: prints the log lines; by default with the monotonic clock.

    Returns:
        For each epoch: `loss` and `val_loss` (means over examples), `judged`, `seconds` (of the whole epoch) and
        `examples_per_second` (of the training steps).

    Raises:
        InputError: a part has no examples, or the checkpoints belong to another training.
        SegueError: a loss is not finite.
    """
    for role, part in (("training", train), ("held-out", validation)):
        if part.rows == 0:
            raise InputError(f"The {role} part needs at least one example. It has none.", "Import a longer log.")
    model.seed = seed
    model.step.assign(0)
    optimizer = tf.keras.optimizers.legacy.Adam(learning_rate, beta_2=second_decay)
    step, held_out = functions(model, optimizer, train)
    state = TrainingState(model, optimizer, checkpoints)
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
        past_seconds = state.history["seconds"]
        if epoch and sum(past_seconds) + past_seconds[-1] > seconds:
            progress.now(
                f"{name}: stopped after {epoch} of {epochs} epochs, since another would exceed {duration(seconds)}"
            )
            break
        if pace is not None:
            factor = pace(state.history)
            if factor is None:
                break
            if epoch and factor < 1.0 == pace({name: values[:-1] for name, values in state.history.items()}):
                state.restore_best()
            optimizer.learning_rate.assign(learning_rate * factor)
        started = time.perf_counter()
        prefix = f"{name}, epoch {epoch + 1}/{epochs}"
        report = epoch_reporter(progress, prefix, train.rows, epochs - epoch, seconds - sum(past_seconds))
        loss, rows = mean_loss(step, train.batches(batch_size, seed, epoch), model, "training", report)
        trained = time.perf_counter()
        val_loss = held_out_loss(model, held_out, validation, batch_size)
        judged = -val_loss if judge is None else judge()
        if not math.isfinite(judged):
            raise SegueError(
                f"The judge must return a finite number. It returned {judged}.", "Lower the learning rate."
            )
        values = (loss, val_loss, judged, time.perf_counter() - started, rows / (trained - started))
        figures = dict(zip(EPOCH_FIGURES, values, strict=True))
        state.add(figures)
        progress.now(
            f"epoch {epoch + 1}/{epochs}: loss {loss:.4f}, val_loss {val_loss:.4f}, judged {judged:.4f}, "
            f"{figures['seconds']:.1f} s, {figures['examples_per_second']:,.0f} examples/s"
        )
        if on_epoch is not None:
            on_epoch({"epoch": epoch + 1, **figures})
    state.restore_best()
    return state.history


def start(seed: int) -> None:
    """Set the random seed and reset the names of layers, so that the model built next is the same for the same seed.

    TensorFlow's graph optimizer orders sums by the names of layers. Without the reset, the second model of a process
    would differ from the first in the last digits.
    """
    tf.keras.utils.set_random_seed(seed)
    tf.keras.backend.reset_uids()


def create_weights(model: Model, examples: Examples) -> None:
    """Create the variables of a new model as `fit` would, without a training step, so that a warm start can set them.

    The loss of one example is computed eagerly, which takes a fraction of the time of tracing the loss.

    Args:
        model: the model; its `compute_loss` creates the variables.
        examples: encoded examples.
    """
    model.compute_loss(tensors(next(examples.batches(1, None, 0))), training=True)


def specs(examples: Examples) -> dict[str, tf.TensorSpec]:
    """The names, shapes and types of a batch of any size."""
    first = next(examples.batches(1, None, 0))
    return {name: tf.TensorSpec([None, *values.shape[1:]], values.dtype, name) for name, values in first.items()}


def functions(model: Model, optimizer, examples: Examples) -> tuple[Callable, Callable]:
    """Build the training step and the held-out loss, each a function from a batch to its loss.

    Tracing them creates the weights of the model and the slots of the optimizer.
    """
    signature = [specs(examples)]

    @tf.function(input_signature=signature)
    def step(batch):
        with tf.GradientTape() as tape:
            loss = tf.add_n([model.compute_loss(batch, training=True), *model.losses])
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        # Gradients are made dense, because Adam updates every row anyway. For a table of 40,000 x 64 and 50,000
        # lookups, the dense kernel takes 0.4 of the time of Adam's sparse kernel, and 0.6 of the time of updating
        # only the rows of the batch.
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
    """Convert a batch to tensors. This takes 1 % of a step, so a `tf.data` pipeline or a thread would gain nothing."""
    return {name: tf.constant(values) for name, values in batch.items()}


def time_limit(minutes: float, epochs: int, rows: int, slowest: int) -> float:
    """The time limit of a training in seconds.

    Args:
        minutes: the configured limit. With 0, the limit is the time of all epochs at the pace `slowest`, and at least a
            minute.
        epochs: the largest number of epochs.
        rows: examples of an epoch.
        slowest: examples per second. A machine with two cores is several times as fast, so the default limit does not
            stop a training there and does not change its result.
    """
    return 60 * minutes if minutes else max(60.0, epochs * rows / slowest)


def epoch_reporter(
    progress: Progress, prefix: str, rows: int, epochs: int, seconds: float
) -> Callable[[int, float], None]:
    """Return a function of the examples done and their mean loss that prints the progress of a long epoch.

    Args:
        progress: prints the line if the last line is long enough ago.
        prefix: the model and the epoch, for example `ranking, epoch 1/4`.
        rows: examples of an epoch, approximately.
        epochs: the largest number of epochs left, with this epoch.
        seconds: what is left of the time limit.
    """
    begun = progress.passed()

    def report(done: int, loss: float) -> None:
        spent = progress.passed() - begun
        left = min(spent * max(epochs * rows / done - 1, 0), seconds - spent)
        share = min(done / max(rows, 1), 1.0)
        progress(lambda: f"{prefix}: {share:.0%}, loss {loss:.4f}, at most {duration(max(left, 0))} left")

    return report


def mean_loss(
    function: Callable,
    batches: Iterable[Arrays],
    model: Model,
    part: str,
    report: Callable[[int, float], None] = lambda rows, loss: None,
) -> tuple[float, int]:
    """Call a function for each batch; return the mean loss over examples and the number of examples.

    Args:
        function: returns the loss of a batch.
        batches: at least one batch.
        model: the model, whose step is named in the error.
        part: `training` or `held-out`, for the error.
        report: called after each batch with the examples so far and their mean loss.

    Raises:
        SegueError: a loss is not finite.
    """
    total, rows = 0.0, 0
    for batch in batches:
        loss, size = float(function(tensors(batch))), len(next(iter(batch.values())))
        if not math.isfinite(loss):
            raise SegueError(
                f"The {part} loss must be finite. It is {loss} at step {int(model.step)}.",
                "Lower the learning rate, and look for extreme values in the features.",
            )
        total, rows = total + loss * size, rows + size
        report(rows, total / rows)
    return total / rows, rows


def held_out_loss(model: Model, function: Callable, validation: Examples, batch_size: int) -> float:
    """The mean loss over the held-out examples, with the same random draws at each call."""
    trained = int(model.step)
    model.step.assign(0)
    loss, _ = mean_loss(function, validation.batches(batch_size, None, 0), model, "held-out")
    model.step.assign(trained)
    return loss

"""What TensorFlow Recommenders' first retrieval tutorial builds, with its settings: two towers that know ids alone."""

from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

WIDTH, RATE, BATCH, EPOCHS, SHUFFLED, CANDIDATES = 32, 0.1, 8192, 3, 100_000, 128
PATIENCE = 60.0  # seconds after which the steps go on without metrics
MEASURED = 3  # steps that have them however long they take

keras = tf.keras


class TwoTowers(tfrs.Model):
    """A vector for each listener and each item; unknown listeners share one.

    Args:
        listeners: distinct ids.
        items: distinct ids of the whole catalogue.
    """

    def __init__(self, listeners: np.ndarray, items: np.ndarray) -> None:
        super().__init__()
        self.listener, self.item = tower(listeners), tower(items)
        candidates = tf.data.Dataset.from_tensor_slices(items).batch(CANDIDATES).map(self.item)
        self.task = tfrs.tasks.Retrieval(metrics=tfrs.metrics.FactorizedTopK(candidates=candidates))
        self.measured = True  # whether a training step computes the metrics

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """In-batch softmax of `user` against `item`, strings `[b]`."""
        listener, item = self.listener(inputs["user"]), self.item(inputs["item"])
        return self.task(listener, item, compute_metrics=self.measured)

    def score(self, listeners: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Dot products of ids, float32 `[n, items]`."""
        left, right = self.listener(tf.constant(listeners)), self.item(tf.constant(items))
        return tf.matmul(left, right, transpose_b=True).numpy()


@dataclass(frozen=True, eq=False)
class Trained:
    """The towers after training.

    Args:
        model: `TwoTowers.score` asks it.
        seconds: of the training.
        examples_per_second: of its steps, with the metrics that the tutorial computes in training.
        examples_per_second_without_metrics: of steps that only learn.
        steps: of the training.
        steps_with_metrics: how many of them had metrics.
    """

    model: TwoTowers
    seconds: float
    examples_per_second: float
    examples_per_second_without_metrics: float
    steps: int
    steps_with_metrics: int


def tower(ids: np.ndarray) -> tf.keras.Sequential:
    """Ids to vectors `[b, 32]`, with one row for unknown ids."""
    lookup = keras.layers.StringLookup(vocabulary=ids, mask_token=None)
    return keras.Sequential([lookup, keras.layers.Embedding(len(ids) + 1, WIDTH)])


def train(users: np.ndarray, items: np.ndarray, catalogue: np.ndarray, seed: int) -> Trained:
    """Train for three epochs; metrics stop after a minute of them, which no weight depends on.

    Args:
        users: ids of the interactions' listeners, strings `[n]`.
        items: ids of their items, `[n]`.
        catalogue: distinct ids of all items.
        seed: of initial weights and of the order.
    """
    keras.utils.set_random_seed(seed)
    started = perf_counter()
    model = TwoTowers(np.unique(users), catalogue)
    model.compile(optimizer=keras.optimizers.Adagrad(RATE))
    model.score(users[:1], items[:1])
    model.optimizer.build(model.trainable_variables)
    rows = tf.data.Dataset.from_tensor_slices({"user": users, "item": items})
    batches = rows.shuffle(SHUFFLED, seed=seed).batch(BATCH).cache()
    steps = EPOCHS * -(-len(users) // BATCH)
    full, bare = step(model, rows.element_spec, measured=True), step(model, rows.element_spec, measured=False)
    measured: list[tuple[int, float]] = []
    for _ in range(EPOCHS):
        model.reset_metrics()
        for batch in batches:
            if len(measured) < MEASURED or sum(took for _, took in measured) < PATIENCE:
                measured.append(timed(full, batch))
            else:
                bare(**batch)
    seconds = perf_counter() - started
    kept = model.get_weights()
    unmeasured = [timed(bare, batch) for batch in batches]  # an epoch more, and back
    model.set_weights(kept)
    return Trained(model, seconds, speed(measured), speed(unmeasured), steps, len(measured))


def step(model: TwoTowers, spec: dict[str, tf.TensorSpec], measured: bool) -> tf.types.experimental.ConcreteFunction:
    """A compiled training step on `user` and `item`, strings `[b]`."""
    model.measured = measured
    columns = {name: tf.TensorSpec([None], one.dtype, name) for name, one in spec.items()}
    return tf.function(lambda **batch: model.train_step(batch)).get_concrete_function(**columns)


def timed(step: tf.types.experimental.ConcreteFunction, batch: dict[str, tf.Tensor]) -> tuple[int, float]:
    """Examples of a step, and its seconds."""
    started = perf_counter()
    step(**batch)
    return len(batch["user"]), perf_counter() - started


def speed(steps: list[tuple[int, float]]) -> float:
    """Examples a second of the median step."""
    return median(rows / took for rows, took in steps)

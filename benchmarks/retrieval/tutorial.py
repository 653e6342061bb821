"""The model of TensorFlow Recommenders' first retrieval tutorial, with its settings: two towers that read ids alone."""

from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

WIDTH, RATE, BATCH, EPOCHS, SHUFFLED, CANDIDATES = 32, 0.1, 8192, 3, 100_000, 128
PATIENCE = 60.0  # seconds of steps with metrics, after which training goes on without metrics
MEASURED = 3  # least number of steps with metrics, however long they take

keras = tf.keras


class TwoTowers(tfrs.Model):
    """An embedding for each listener and each item; unknown listeners share one embedding.

    Args:
        listeners: distinct ids of the listeners, strings `[listeners]`.
        items: distinct ids of the whole catalogue, strings `[items]`.
    """

    def __init__(self, listeners: np.ndarray, items: np.ndarray) -> None:
        super().__init__()
        self.listener, self.item = tower(listeners), tower(items)
        candidates = tf.data.Dataset.from_tensor_slices(items).batch(CANDIDATES).map(self.item)
        self.task = tfrs.tasks.Retrieval(metrics=tfrs.metrics.FactorizedTopK(candidates=candidates))
        self.compute_metrics = True  # in training steps

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """In-batch softmax loss of the ids `user` and `item`, strings `[b]`."""
        listener, item = self.listener(inputs["user"]), self.item(inputs["item"])
        return self.task(listener, item, compute_metrics=self.compute_metrics)

    def score(self, listeners: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Dot product of every listener's and every item's embedding, float32 `[n, items]`."""
        listener, item = self.listener(tf.constant(listeners)), self.item(tf.constant(items))
        return tf.matmul(listener, item, transpose_b=True).numpy()


@dataclass(frozen=True, eq=False)
class Trained:
    """The towers after training.

    Args:
        model: the trained towers.
        seconds: duration of the training.
        examples_per_second: throughput of steps that also compute the tutorial's metrics.
        examples_per_second_without_metrics: throughput of steps without metrics.
        steps: number of training steps.
        steps_with_metrics: number of training steps with metrics.
    """

    model: TwoTowers
    seconds: float
    examples_per_second: float
    examples_per_second_without_metrics: float
    steps: int
    steps_with_metrics: int


def tower(ids: np.ndarray) -> tf.keras.Sequential:
    """A layer from ids to embeddings `[b, 32]`, with one row for unknown ids."""
    lookup = keras.layers.StringLookup(vocabulary=ids, mask_token=None)
    return keras.Sequential([lookup, keras.layers.Embedding(len(ids) + 1, WIDTH)])


def train(users: np.ndarray, items: np.ndarray, catalogue: np.ndarray, seed: int) -> Trained:
    """Train for three epochs.

    The tutorial computes a metric over the whole catalogue in every step. Here steps stop computing it after a minute,
    because it takes most of the time and no weight depends on it.

    Args:
        users: ids of the interactions' listeners, strings `[n]`.
        items: ids of their items, strings `[n]`.
        catalogue: distinct ids of all items.
        seed: seed of the initial weights and of the order of the examples.
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
    with_metrics, without_metrics = (compiled_step(model, rows.element_spec, metrics) for metrics in (True, False))
    times: list[tuple[int, float]] = []
    for _ in range(EPOCHS):
        model.reset_metrics()
        for batch in batches:
            if len(times) < MEASURED or sum(seconds for _, seconds in times) < PATIENCE:
                times.append(timed(with_metrics, batch))
            else:
                without_metrics(**batch)
    seconds = perf_counter() - started
    # One more epoch measures the speed without metrics; the weights are put back afterwards.
    weights = model.get_weights()
    times_without_metrics = [timed(without_metrics, batch) for batch in batches]
    model.set_weights(weights)
    return Trained(model, seconds, speed(times), speed(times_without_metrics), steps, len(times))


def compiled_step(
    model: TwoTowers, spec: dict[str, tf.TensorSpec], compute_metrics: bool
) -> tf.types.experimental.ConcreteFunction:
    """A compiled training step on `user` and `item`, strings `[b]`."""
    model.compute_metrics = compute_metrics
    columns = {name: tf.TensorSpec([None], column.dtype, name) for name, column in spec.items()}
    return tf.function(lambda **batch: model.train_step(batch)).get_concrete_function(**columns)


def timed(step: tf.types.experimental.ConcreteFunction, batch: dict[str, tf.Tensor]) -> tuple[int, float]:
    """Run a step; its number of examples and its seconds."""
    started = perf_counter()
    step(**batch)
    return len(batch["user"]), perf_counter() - started


def speed(times: list[tuple[int, float]]) -> float:
    """Examples per second of the median step."""
    return median(rows / seconds for rows, seconds in times)

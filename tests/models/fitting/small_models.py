"""Two small models whose training takes milliseconds, and their examples."""

import numpy as np
import tensorflow as tf

from models.fitting.loop import Model, fit
from models.inputs.shards import Arrays, Shards

keras = tf.keras

TEN = Shards.of({"x": np.arange(10, dtype=np.float32)})


class Toy(Model):
    """A model with one weight `w`, which training raises by 1 at each step. The held-out loss is least at `best`."""

    def __init__(self, best: float) -> None:
        super().__init__()
        self.w = tf.Variable(0.0)
        self.best = best

    def compute_loss(self, inputs, training=False):
        return -self.w if training else tf.reduce_mean(inputs["x"]) + tf.abs(self.w - self.best)


def fit_toy(best: float, epochs: int, **settings) -> tuple[Toy, dict]:
    """Train a `Toy` with one step an epoch. The gradient is constant, so each step of Adam is the learning rate."""
    model = Toy(best)
    settings = {"batch_size": 10, "learning_rate": 1.0, "seed": 0} | settings
    return model, fit(model, TEN, TEN, epochs=epochs, **settings)


class Small(Model):
    """A regression of `y` on `ids` with an embedding used twice, a layer built at the first call, and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.ids = keras.layers.Embedding(20, 4)
        self.out = keras.layers.Dense(1)

    def compute_loss(self, inputs, training=False):
        hidden = self.ids(inputs["id"]) + tf.reduce_mean(self.ids(inputs["past"]), axis=1)  # [b, 4]
        if training:
            kept = tf.random.stateless_uniform(tf.shape(hidden), self.stateless_seed(1)) < 0.8
            hidden = tf.where(kept, hidden / 0.8, 0.0)
        return tf.reduce_mean((self.out(hidden)[:, 0] - inputs["y"]) ** 2)


def small_examples(rows: int, seed: int) -> Arrays:
    """Examples whose `y` is a function of `id` plus noise."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 20, rows, dtype=np.int32)
    y = np.sin(ids) + rng.normal(scale=0.3, size=rows)
    return {"id": ids, "past": rng.integers(0, 20, (rows, 3), dtype=np.int32), "y": y.astype(np.float32)}


TRAIN, HELD_OUT = (Shards.of(small_examples(rows, seed)) for rows, seed in ((640, 0), (200, 1)))


def new_small(seed: int = 0) -> Small:
    keras.utils.set_random_seed(seed)
    return Small()


def fit_small(epochs: int, train=TRAIN, **settings) -> tuple[Small, dict]:
    """Train a `Small` with ten steps an epoch. With the learning rate 0.01 the third epoch is the best."""
    model = new_small()
    settings = {"batch_size": 64, "learning_rate": 0.003, "seed": 7} | settings
    return model, fit(model, train, HELD_OUT, epochs=epochs, **settings)


def losses(history: dict) -> tuple[list[float], list[float]]:
    return history["loss"], history["val_loss"]


def assert_same(actual: tuple[Small, dict], expected: tuple[Small, dict]) -> None:
    """Assert that losses and weights are equal bit by bit."""
    assert losses(actual[1]) == losses(expected[1])
    for left, right in zip(actual[0].get_weights(), expected[0].get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)

"""Batches, the loss of an epoch, and which epoch is kept."""

import numpy as np
import pytest
import tensorflow as tf

from models.training import Arrays, Model, batches, fit_model

ARRAYS: Arrays = {"x": np.arange(10, dtype=np.float32), "pair": np.arange(20).reshape(10, 2)}


def xs(dataset) -> list[list[float]]:
    return [batch["x"].numpy().tolist() for batch in dataset]


def test_without_a_seed_the_order_stays_and_the_last_batch_is_short():
    assert xs(batches(ARRAYS, 4, None)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_with_a_seed_batches_are_full_and_shuffled():
    found = xs(batches(ARRAYS, 4, 0))
    assert [len(batch) for batch in found] == [4, 4]
    assert len({x for batch in found for x in batch}) == 8
    assert found != [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_the_only_batch_is_kept_though_it_is_short():
    assert sorted(xs(batches(ARRAYS, 64, 0))[0]) == list(range(10))


def test_every_epoch_has_an_order_of_its_own():
    dataset = batches(ARRAYS, 10, 0)
    assert xs(dataset) != xs(dataset)


def test_the_order_is_that_of_the_seed():
    assert xs(batches(ARRAYS, 4, 1)) == xs(batches(ARRAYS, 4, 1))
    assert xs(batches(ARRAYS, 4, 1)) != xs(batches(ARRAYS, 4, 2))


def test_rows_stay_together():
    for batch in batches(ARRAYS, 4, 0):
        np.testing.assert_array_equal(batch["pair"].numpy()[:, 0], 2 * batch["x"].numpy())


class Toy(Model):
    """One weight that training raises by 1 a step; held out, the loss is least where it is `best`."""

    def __init__(self, best: float) -> None:
        super().__init__()
        self.w = tf.Variable(0.0)
        self.best = best

    def compute_loss(self, inputs, training=False):
        return -self.w if training else tf.reduce_mean(inputs["x"]) + tf.abs(self.w - self.best)


def fitted(best: float, epochs: int) -> tuple[Toy, dict]:
    """A toy after training: one step an epoch, held-out batches of 4, 4 and 2."""
    model = Toy(best)
    model.compile(optimizer=tf.keras.optimizers.legacy.SGD(1.0))
    return model, fit_model(model, batches(ARRAYS, 10, 0), batches(ARRAYS, 4, None), epochs)


def test_the_loss_of_an_epoch_is_the_mean_of_its_batches():
    _, history = fitted(best=0.0, epochs=1)
    # Means of the batches: 1.5, 5.5 and 8.5, each plus |1 - 0|. The last alone would be 9.5.
    assert history == {"loss": [0.0], "val_loss": [pytest.approx((2.5 + 6.5 + 9.5) / 3)]}


def test_training_stops_two_epochs_after_the_best_and_keeps_it():
    model, history = fitted(best=3.0, epochs=20)
    assert len(history["val_loss"]) == 5
    assert float(model.w) == 3.0


def test_the_best_epoch_is_kept_though_epochs_run_out():
    model, history = fitted(best=3.0, epochs=4)
    assert len(history["val_loss"]) == 4
    assert float(model.w) == 3.0

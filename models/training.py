"""What training either model shares: batches from arrays, early stopping."""

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

Arrays = dict[str, np.ndarray]


class Model(tfrs.models.Model):
    """A TFRS model that reports the mean loss of an epoch's batches.

    TFRS itself reports the last batch's, and early stopping would judge an epoch by those few rows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mean_loss = tf.keras.metrics.Mean("loss")

    def train_step(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step of the optimizer."""
        return self.averaged(super().train_step(inputs))

    def test_step(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The loss of a held-out batch."""
        return self.averaged(super().test_step(inputs))

    def averaged(self, metrics: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The mean `loss` up to this batch; Keras starts anew with each epoch."""
        self.mean_loss.update_state(metrics["loss"])
        return {"loss": self.mean_loss.result()}


def batches(arrays: Arrays, batch_size: int, seed: int | None) -> tf.data.Dataset:
    """Batches of encoded examples; shuffled anew each epoch if a seed is given.

    Rows are drawn by index from whole tensors, which costs a fraction of slicing row by row.
    Training drops the last short batch, unless it is the only one.
    """
    tensors = {name: tf.constant(value) for name, value in arrays.items()}
    rows = len(next(iter(arrays.values())))
    order = tf.data.Dataset.range(rows)
    if seed is not None:
        order = order.shuffle(rows, seed=seed, reshuffle_each_iteration=True)
    grouped = order.batch(batch_size, drop_remainder=seed is not None and rows >= batch_size)
    return grouped.map(lambda index: {n: tf.gather(t, index) for n, t in tensors.items()}).prefetch(2)


def fit_model(
    model: tf.keras.Model, train: tf.data.Dataset, validation: tf.data.Dataset, epochs: int
) -> dict[str, list[float]]:
    """Fit until the validation loss has not fallen for two epochs; keep the best epoch's weights."""
    stopping = tf.keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    history = model.fit(train, validation_data=validation, epochs=epochs, callbacks=[stopping], verbose=2)
    return {name: [float(v) for v in values] for name, values in history.history.items()}

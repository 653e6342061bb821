"""What training either model shares: batches from arrays, early stopping."""

import numpy as np
import tensorflow as tf

Arrays = dict[str, np.ndarray]


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

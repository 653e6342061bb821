"""Two-tower retrieval: which few hundred of all items are worth ranking for this listener now.

Covington et al., RecSys 2016; sampling-bias correction of in-batch negatives, Yi et al., RecSys 2019.
"""

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from models.config import RetrievalConfig
from models.features import Encoder
from models.towers import HistoryPooling, ItemEncoder, UserEncoder
from models.training import Arrays, Model, batches, fit_model

keras = tf.keras


class RetrievalModel(Model):
    """Query tower and item tower, scored by a dot product.

    Args:
        encoder: how inputs were encoded; it goes into the SavedModel with the towers.
        dim: width of the towers' output.
    """

    def __init__(self, encoder: Encoder, dim: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.items = ItemEncoder(encoder, dim)
        self.pooling = HistoryPooling(encoder)
        self.users = UserEncoder(encoder)
        self.query = keras.Sequential([keras.layers.Dense(2 * dim, "relu"), keras.layers.Dense(dim)])
        self.task = tfrs.tasks.Retrieval(remove_accidental_hits=True)

    def embed_query(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Encoded query to `[b, dim]`."""
        pooled = self.pooling(self.items.history(inputs["history"], training), inputs)
        mixed = self.query(tf.concat([pooled, self.users(inputs)], axis=1))
        return mixed + sum(tf.split(pooled, 2, axis=1))

    def embed_item(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Encoded item to `[n, dim]`."""
        return self.items(inputs["item_ids"], inputs["item_dense"], training=training)

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Softmax over the batch's items, corrected by how often each is drawn."""
        return self.task(
            self.embed_query(inputs, training),
            self.embed_item(inputs, training),
            candidate_sampling_probability=inputs["sampling_probability"],
            candidate_ids=inputs["item_ids"][:, 0],
            compute_metrics=False,
        )


def sampling_probability(item_rows: np.ndarray) -> np.ndarray:
    """How likely each example's item is to be drawn into a batch: its share of the positives `[n]`."""
    counts = np.bincount(item_rows)
    return (counts[item_rows] / len(item_rows)).astype(np.float32)


def fit(
    train: Arrays, validation: Arrays, encoder: Encoder, config: RetrievalConfig, seed: int
) -> tuple[RetrievalModel, dict]:
    """Train retrieval on encoded positives.

    Args:
        train: encoded queries and items of the positives, `sampling_probability` included.
        validation: the same of the validation span; the epoch with the lowest loss there is kept.
        encoder: how they were encoded.
        config: sizes and rates.
        seed: of initial weights and the order of examples.

    Returns:
        The model and its history: `loss`, `val_loss` by epoch.
    """
    keras.utils.set_random_seed(seed)
    model = RetrievalModel(encoder, config.dim)
    model.compile(optimizer=keras.optimizers.legacy.Adam(config.learning_rate))
    history = fit_model(
        model,
        batches(train, config.batch_size, seed),
        batches(validation, config.batch_size, None),
        config.epochs,
    )
    return model, history

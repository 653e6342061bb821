"""Multi-task ranking: how likely each candidate is to be played through, skipped and liked.

Shared bottom with one head a label (Caruana, 1997); the candidate attends to the history as in
Deep Interest Network, Zhou et al., KDD 2018. The weights that combine the heads into one reward are
configuration, apart from the model.
"""

import tensorflow as tf
import tensorflow_recommenders as tfrs

from events.schema import HEADS
from models.config import RankingConfig
from models.features import Encoder
from models.towers import SMALL, HistoryPooling, ItemEncoder, UserEncoder
from models.training import Arrays, Model, batches, fit_model

keras = tf.keras


class RankingModel(Model):
    """Three heads over listener, session, candidate and what pairs them.

    Args:
        encoder: how inputs were encoded; it goes into the SavedModel with the model.
        dim: width of the item embeddings.
    """

    def __init__(self, encoder: Encoder, dim: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.items = ItemEncoder(encoder, dim)
        self.pooling = HistoryPooling(encoder)
        self.users = UserEncoder(encoder)
        self.surface = keras.layers.Embedding(encoder.lookups["surface"].size, SMALL)
        self.actions = keras.layers.Embedding(encoder.lookups["action"].size, dim)
        self.query = keras.layers.Dense(dim)
        self.hidden = keras.Sequential(
            [keras.layers.Dense(128, "relu"), keras.layers.Dropout(0.1), keras.layers.Dense(64, "relu")]
        )
        self.heads = {head: keras.layers.Dense(1, name=f"head_{head}") for head in HEADS}
        # The task's own reduction divides by the batch; masked rows weigh 0.
        self.task = tfrs.tasks.Ranking(loss=keras.losses.BinaryCrossentropy(from_logits=True))

    def describe_query(self, inputs, training=False) -> tuple[tf.Tensor, tf.Tensor]:
        """What does not depend on the candidate: the history `[b, 50, dim]` and the context `[b, c]`."""
        history = self.items.history(inputs["history"], training)
        pooled = self.pooling(history, inputs)
        context = [pooled, self.users(inputs), self.surface(inputs["surface"]), inputs["session"]]
        return history + self.actions(inputs["history_action"]), tf.concat(context, axis=1)

    def score(self, query, present, item, request, training=False) -> dict[str, tf.Tensor]:
        """Logits of candidates.

        Args:
            query: what `describe_query` returned.
            present: where the history has entries, float `[b, 50]`.
            item: embedded candidates `[b, n, dim]`.
            request: what pairs them, `[b, n, 3]`.

        Returns:
            One `[b, n]` of logits a head.
        """
        history, context = query
        fit = tf.einsum("bnd,bhd->bnh", item, history) / tf.sqrt(tf.cast(tf.shape(item)[-1], tf.float32))
        weights = tf.exp(fit - tf.reduce_max(fit, axis=2, keepdims=True)) * present[:, None, :]  # [b, n, 50]
        weights = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=2, keepdims=True))
        attended = tf.einsum("bnh,bhd->bnd", weights, history)
        projected = self.query(context)[:, None, :] * item  # [b, n, dim]
        wide = tf.repeat(context[:, None, :], tf.shape(item)[1], axis=1)
        joint = self.hidden(
            tf.concat([wide, item, attended, attended * item, projected, request], axis=2), training=training
        )
        return {head: tf.squeeze(layer(joint), -1) for head, layer in self.heads.items()}

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> dict[str, tf.Tensor]:
        """One candidate an example: encoded inputs to logits `[b]` a head."""
        query = self.describe_query(inputs, training)
        item = self.items(inputs["item_ids"], inputs["item_dense"], training=training)[:, None, :]
        present = tf.cast(inputs["history"] > 0, tf.float32)
        logits = self.score(query, present, item, inputs["request"][:, None, :], training)
        return {head: value[:, 0] for head, value in logits.items()}

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The sum of the heads' cross-entropies; a label that nothing states weighs 0."""
        logits = self(inputs, training=training)
        return sum(
            self.task(
                labels=inputs[f"label_{head}"][:, None],
                predictions=logits[head][:, None],
                sample_weight=inputs[f"weight_{head}"],
                compute_metrics=False,
            )
            for head in HEADS
        )


def fit(
    train: Arrays, validation: Arrays, encoder: Encoder, config: RankingConfig, seed: int
) -> tuple[RankingModel, dict]:
    """Train ranking on encoded examples.

    Args:
        train: encoded queries, items and request features, `label_*` and `weight_*` `[n]`.
        validation: the same of the validation span; the epoch with the lowest loss there is kept.
        encoder: how they were encoded.
        config: sizes and rates.
        seed: of initial weights and the order of examples.

    Returns:
        The model and its history: `loss`, `val_loss` by epoch.
    """
    keras.utils.set_random_seed(seed)
    model = RankingModel(encoder, config.dim)
    model.compile(optimizer=keras.optimizers.legacy.Adam(config.learning_rate))
    history = fit_model(
        model,
        batches(train, config.batch_size, seed),
        batches(validation, config.batch_size, None),
        config.epochs,
    )
    return model, history

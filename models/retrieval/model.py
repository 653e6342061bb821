"""Two-tower retrieval: selects from all items the few hundred that are worth ranking for a request.

The architecture follows Covington et al., RecSys 2016. Negatives are the other items of the batch, with the
sampling-bias correction of Yi et al., RecSys 2019, and uniformly drawn items (Yang et al., WWW 2020). The score is a
cosine with a learned temperature, as in Radford et al., ICML 2021.
"""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs
from scipy.optimize import brentq
from scipy.special import expit
from scipy.special import logsumexp as scipy_logsumexp

from models.evaluation.metrics import ndcg_at, rank_of_target
from models.fitting.loop import Model, create_weights, start, time_limit
from models.fitting.loop import fit as fit_model
from models.fitting.training_state import History
from models.graph_function import graph_function
from models.inputs.encoder import Encoder
from models.inputs.feature_names import AGE_COLUMNS, QUERY_INPUTS
from models.inputs.shards import Arrays, Shards
from models.inputs.towers import VIEWS, ContextEncoder, HistoryPooling, ItemEncoder, dropout, small_normal
from models.retrieval.frequency import FrequencyEstimator
from models.training_config import RetrievalConfig

keras = tf.keras

TEMPERATURE = 0.1  # initial value
MOST_GAIN = 5.0  # largest gain of new items, in units of the score
DROPOUT = 0.2
SLOWEST = 2_500  # examples a second below which training stops early
JUDGED_BATCH, JUDGED_BATCHES = 100, 50  # of the judge, which holds the scores of a batch for all items in memory
# Salts of the random draws: id dropout, dropout of the deep part and of the mixed views, uniform negatives.
IDS, POOLED, QUERY, NEGATIVES = range(4)


class RetrievalModel(Model):
    """A query tower and an item tower; the score of a pair is the dot product of their vectors.

    The score equals the cosine of the first `dim` elements divided by the temperature, plus a bias of the item. The
    last element of an item's vector is the bias, and the last element of a query's vector is 1.

    Args:
        encoder: the encoder of the inputs; it is saved with the towers.
        config: sizes and the numbers of negatives.
        pool: the items from which uniform negatives are drawn: `item` `[p]` and `item_stats` `[p, 7]`.
    """

    def __init__(self, encoder: Encoder, config: RetrievalConfig, pool: Arrays) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        dim = config.dim
        self.items = ItemEncoder(encoder, dim)
        self.pooling = HistoryPooling(encoder, dim)
        self.context = ContextEncoder(encoder)
        self.views = keras.layers.Dense(dim, use_bias=False, kernel_initializer=identities)
        self.query = keras.Sequential(
            [keras.layers.Dense(2 * dim, "relu"), keras.layers.Dense(dim, kernel_initializer=small_normal())]
        )
        self.aged = keras.layers.Dense(8, "tanh")
        self.bias = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
        self.sharpness = self.add_weight("sharpness", [], initializer=keras.initializers.Constant(-np.log(TEMPERATURE)))
        self.newcomer = tf.Variable(0.0, trainable=False)  # added to the bias of items that were not in training
        self.frequency = FrequencyEstimator(encoder.catalogue.release_ts.shape[0])
        self._pool = {name: tf.constant(pool[name]) for name in ("item", "item_stats")}
        rows = encoder.catalogue.release_ts.shape[0]
        # The share of each catalogue row in the pool, where an item is once for each instant at which it was released.
        self._share = tf.constant(np.bincount(pool["item"], minlength=rows) / len(pool["item"]), tf.float32)
        mean_loss = keras.losses.CategoricalCrossentropy(from_logits=True, reduction="sum_over_batch_size")
        self.task = tfrs.tasks.Retrieval(
            loss=mean_loss, remove_accidental_hits=True, num_hard_negatives=config.hard_negatives or None
        )

    def embed_query(self, inputs: dict[str, tf.Tensor], history: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Embed encoded queries with their embedded histories `[b, 50, dim]`: `[b, dim + 1]`."""
        views = tf.reshape(self.pooling(history, inputs), [-1, VIEWS * self.config.dim])
        pooled, query = (self.stateless_seed(salt) if training else None for salt in (POOLED, QUERY))
        mixed = dropout(self.views(views), DROPOUT, query)
        features = tf.concat([views, self.context(inputs)], axis=1)
        deep = self.query(dropout(features, DROPOUT, pooled))
        query = tf.math.l2_normalize(mixed + deep, axis=1) * tf.exp(self.sharpness)
        return tf.pad(query, [[0, 0], [0, 1]], constant_values=1.0)

    def embed_item(self, static: tf.Tensor, stats: tf.Tensor) -> tf.Tensor:
        """Embed items from their static vectors `[n, dim]` and statistics `[n, 7]`: `[n, dim + 1]`."""
        # Of the statistics only the age is used. The number of plays lowers recall: it describes the time at which it
        # was counted more than the item's relevance to the query.
        bias = self.bias(tf.concat([static, self.aged(stats[:, AGE_COLUMNS:])], axis=1))
        return tf.concat([tf.math.l2_normalize(static, axis=1), bias], axis=1)

    def boosted(self, vectors: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Add the gain of new items to the bias, the last entry of the vectors `[n, dim + 1]` of `rows` `[n]`."""
        own = tf.gather(self.encoder.catalogue.item_ids, rows)[:, 0]
        new = tf.cast(own <= self.encoder.lookups["item_id"].buckets, tf.float32)
        return vectors + tf.pad((self.newcomer * new)[:, None], [[0, 0], [self.config.dim, 0]])

    def call(self, inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Embed encoded queries and their items: `[b, dim + 1]` each."""
        history, item = self.items.distinct([inputs["history"], inputs["item"]])
        return self.embed_query(inputs, history), self.embed_item(item, inputs["item_stats"])

    @graph_function(reduce_retracing=True)
    def query_vectors(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Embed encoded queries: `[b, dim + 1]`."""
        return self.embed_query(inputs, self.items.distinct([inputs["history"]])[0])

    @graph_function(reduce_retracing=True)
    def item_vectors(self, rows: tf.Tensor, stats: tf.Tensor) -> tf.Tensor:
        """Embed items by catalogue row `[n]` with their statistics `[n, 7]`: `[n, dim + 1]`."""
        return self.boosted(self.embed_item(self.items.distinct([rows])[0], stats), rows)

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The softmax loss over the batch's items and uniform negatives, corrected for how often each item is drawn."""
        count = self.config.uniform_negatives
        drawn = tf.random.stateless_uniform(
            [count], self.stateless_seed(NEGATIVES), maxval=len(self._pool["item"]), dtype=tf.int32
        )
        own = inputs["item"]
        rows = tf.concat([own, tf.gather(self._pool["item"], drawn)], axis=0)  # [b + u]
        stats = tf.concat([inputs["item_stats"], tf.gather(self._pool["item_stats"], drawn)], axis=0)
        if training:
            self.frequency.update(own)
        history, static = self.items.distinct([inputs["history"], rows], self.stateless_seed(IDS) if training else None)
        batch = tf.cast(tf.size(own), tf.float32)
        uniform = tf.gather(self._share, rows)
        probability = (batch * self.frequency.probability(rows) + count * uniform) / (batch + count)
        return self.task(
            self.embed_query(inputs, history, training),
            self.embed_item(static, stats),
            sample_weight=inputs["weight"],
            candidate_sampling_probability=probability,
            candidate_ids=rows,
            compute_metrics=False,
        )

    def vocabulary_embeddings(self) -> dict[str, list[tf.Variable]]:
        """The embedding tables by the name of the vocabulary that indexes their rows."""
        return self.items.vocabulary() | self.context.vocabulary()


def identities(shape, dtype=None, **_) -> tf.Tensor:
    """An initializer `[views * dim, dim]` whose product with concatenated views is their mean.

    It stacks identity matrices and divides them by their number.
    """
    return tf.tile(tf.eye(shape[1], dtype=dtype), [shape[0] // shape[1], 1]) * (shape[1] / shape[0])


def embed_in_blocks(model: RetrievalModel, rows: np.ndarray, stats: np.ndarray, block: int = 8192) -> np.ndarray:
    """Embed items by catalogue row `[n]` with their statistics `[n, 7]`, block by block: `[n, dim + 1]`."""
    starts = range(0, len(rows), block)
    return np.concatenate([model.item_vectors(rows[i : i + block], stats[i : i + block]).numpy() for i in starts])


def newcomer_odds(scores: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The log odds of the new items together against the other items, under the softmax of each query: `[n]`.

    Args:
        scores: scores of every item for each query, `[n, items]`; minus infinity before an item's release.
        new: marks the items that were not in training, bool `[items]`.
    """
    others = scipy_logsumexp(np.where(new, -np.inf, scores), axis=1)
    return scipy_logsumexp(np.where(new, scores, -np.inf), axis=1) - others


def newcomer_gain(odds: np.ndarray, was_new: np.ndarray) -> float:
    """The gain in score of new items with which they are as probable as they are played.

    With this gain, the mean probability of all new items under the softmax over the catalogue equals the share of
    held-out positives that were new, at the upper end of its 95 % interval (Wilson 1927). The upper end and the lower
    limit of 0 favour new items, because nothing can be learned about items that are not shown.

    Args:
        odds: `newcomer_odds` of held-out queries, `[n]`.
        was_new: whether the played item was new, bool `[n]`.

    Returns:
        The gain, from 0 to 5; 0 if no positive was new.
    """
    from scipy.stats import binomtest

    if not was_new.any():
        return 0.0
    share = binomtest(int(was_new.sum()), len(was_new)).proportion_ci(method="wilson").high
    excess = lambda gain: float(np.mean(expit(gain + odds))) - share  # noqa: E731
    return MOST_GAIN if excess(MOST_GAIN) < 0 else 0.0 if excess(0.0) > 0 else float(brentq(excess, 0.0, MOST_GAIN))


def held_out_gain(model: RetrievalModel, positives: list[Arrays], items: Arrays) -> float:
    """Compute `newcomer_gain` on held-out positives, among the items that were released at the time of each.

    The arguments are those of `held_out_ndcg`.
    """
    index = embed_in_blocks(model, items["item"], items["item_stats"])
    release = model.encoder.catalogue.release_ts.numpy()[items["item"]]
    own = model.encoder.catalogue.item_ids.numpy()[items["item"], 0]
    place = np.full(items["item"].max() + 1, -1)
    place[items["item"]] = np.arange(len(index))
    new = own <= model.encoder.lookups["item_id"].buckets
    odds = []
    for batch in positives:  # one by one: the scores of all batches would need more memory than the rest of training
        scores = query_vectors(model, batch) @ index.T
        odds.append(newcomer_odds(np.where(release <= batch["ts"][:, None], scores, -np.inf), new))
    target = np.concatenate([place[batch["item"]] for batch in positives])
    return newcomer_gain(np.concatenate(odds), new[target])


def held_out_ndcg(model: RetrievalModel, positives: list[Arrays], items: Arrays) -> float:
    """The weighted mean NDCG@100 of held-out positives, with all items as candidates.

    It judges the epochs in place of the held-out loss, because the softmax loss rises with overconfidence long before
    the order of the items gets worse.

    Args:
        model: the model.
        positives: batches of encoded queries with `item` and `weight`, `[b]` each.
        items: the candidates: `item` `[n]` and `item_stats` `[n, 7]`.
    """
    index = embed_in_blocks(model, items["item"], items["item_stats"])
    place = np.full(items["item"].max() + 1, -1)
    place[items["item"]] = np.arange(len(index))
    gains, weights = [], []
    for batch in positives:
        scores = query_vectors(model, batch) @ index.T  # [b, n]
        gains.append(ndcg_at(rank_of_target(scores, place[batch["item"]]), 100))
        weights.append(batch["weight"])
    return float(np.average(np.concatenate(gains), weights=np.concatenate(weights)))


def query_vectors(model: RetrievalModel, batch: Arrays) -> np.ndarray:
    """Embed the queries of an encoded batch: `[b, dim + 1]`."""
    return model.query_vectors({name: tf.constant(batch[name]) for name in QUERY_INPUTS}).numpy()


def fit(
    train: Shards,
    validation: Shards,
    pool: Arrays,
    items: Arrays,
    encoder: Encoder,
    config: RetrievalConfig,
    seed: int,
    checkpoints: Path | None = None,
    prepare: Callable[[RetrievalModel], object] = lambda model: None,
) -> tuple[RetrievalModel, History]:
    """Train retrieval on encoded positives.

    Args:
        train: arrays of `models.inputs.training_arrays.retrieval_arrays` for the train span.
        validation: the same arrays for the validation span; the epoch with the best `held_out_ndcg` on them is kept.
        pool: the items from which uniform negatives are drawn.
        items: the encoded catalogue at the start of the validation span.
        encoder: the encoder of the arrays.
        config: sizes, epochs, learning rate and numbers of negatives.
        seed: seed of the initial weights, the order of examples and all random draws.
        checkpoints: a folder that training resumes from.
        prepare: called with the new model before training, for a warm start.

    Returns:
        The model and its history: for each epoch `loss`, `val_loss`, `judged`, `seconds` and `examples_per_second`.
    """
    start(seed)
    model = RetrievalModel(encoder, config, pool)
    create_weights(model, train)
    prepare(model)
    judged = list(itertools.islice(validation.batches(JUDGED_BATCH, seed, 0), JUDGED_BATCHES))
    history = fit_model(
        model,
        train,
        validation,
        batch_size=config.batch_size,
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        seed=seed,
        checkpoints=checkpoints,
        seconds=time_limit(config.minutes, config.epochs, train.rows, SLOWEST),
        name="retrieval",
        judge=lambda: held_out_ndcg(model, judged, items),
    )
    model.newcomer.assign(held_out_gain(model, judged, items))
    return model, history

"""Two-tower retrieval: which few hundred of all items are worth ranking for this listener now.

Covington et al., RecSys 2016; in-batch negatives with sampling-bias correction, Yi et al., RecSys 2019; mixed with
uniform ones, Yang et al., WWW 2020; cosine with a learned temperature as in Radford et al., ICML 2021.
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
from models.fitting.loop import History, Model, allowed, create_weights, start
from models.fitting.loop import fit as fit_model
from models.inputs.encoder import AGE_COLUMNS, QUERY_INPUTS, Encoder
from models.inputs.shards import Arrays, Shards
from models.inputs.towers import VIEWS, ContextEncoder, HistoryPooling, ItemEncoder, dropout, small_normal
from models.retrieval.frequency import FrequencyEstimator
from models.training_config import RetrievalConfig

keras = tf.keras

TEMPERATURE = 0.1  # at first; it is learned
MOST_GAIN = 5.0  # of items that training never had, in units of the score
DROPOUT = 0.2
SLOWEST = 2_500  # examples a second below which training stops early
JUDGED_BATCH, JUDGED_BATCHES = 100, 50  # scores of a batch and all items are held at once
IDS, POOLED, QUERY, NEGATIVES = range(4)  # salts of the random draws


class RetrievalModel(Model):
    """Query tower and item tower, scored by a dot product.

    The score is the cosine of the two vectors over the temperature, plus the item's own bias.

    Args:
        encoder: how inputs were encoded; it goes into the SavedModel with the towers.
        config: sizes and what negatives are drawn.
        pool: items that uniform negatives are drawn from: `item` `[p]`, `item_stats` `[p, 7]`.
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
        self.newcomer = tf.Variable(0.0, trainable=False)  # what the bias of an item without an id of its own gains
        self.frequency = FrequencyEstimator(encoder.catalogue.release_ts.shape[0])
        self._pool = {name: tf.constant(pool[name]) for name in ("item", "item_stats")}
        rows = encoder.catalogue.release_ts.shape[0]
        # Of each row: an item is in the pool once for each instant at which it was out.
        self._share = tf.constant(np.bincount(pool["item"], minlength=rows) / len(pool["item"]), tf.float32)
        mean_loss = keras.losses.CategoricalCrossentropy(from_logits=True, reduction="sum_over_batch_size")
        self.task = tfrs.tasks.Retrieval(
            loss=mean_loss, remove_accidental_hits=True, num_hard_negatives=config.hard_negatives or None
        )

    def embed_query(self, inputs: dict[str, tf.Tensor], history: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Encoded query and its embedded history `[b, 50, dim]` to `[b, dim + 1]`."""
        views = tf.reshape(self.pooling(history, inputs), [-1, VIEWS * self.config.dim])
        pooled, query = (self.stateless_seed(salt) if training else None for salt in (POOLED, QUERY))
        mixed = dropout(self.views(views), DROPOUT, query)
        known = tf.concat([views, self.context(inputs)], axis=1)
        deep = self.query(dropout(known, DROPOUT, pooled))
        query = tf.math.l2_normalize(mixed + deep, axis=1) * tf.exp(self.sharpness)
        return tf.pad(query, [[0, 0], [0, 1]], constant_values=1.0)

    def embed_item(self, static: tf.Tensor, stats: tf.Tensor) -> tf.Tensor:
        """Items `[n, dim]` (`ItemEncoder.static`) and their statistics `[n, 7]` to `[n, dim + 1]`."""
        # Of the statistics only the age: how often an item was played at other times than the query's says less
        # about the query than about the time, and costs recall.
        bias = self.bias(tf.concat([static, self.aged(stats[:, AGE_COLUMNS:])], axis=1))
        return tf.concat([tf.math.l2_normalize(static, axis=1), bias], axis=1)

    def boosted(self, vectors: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Item vectors `[n, dim + 1]` of rows `[n]`, those that training never had with their gain."""
        own = tf.gather(self.encoder.catalogue.item_ids, rows)[:, 0]
        new = tf.cast(own <= self.encoder.lookups["item_id"].buckets, tf.float32)
        return vectors + tf.pad((self.newcomer * new)[:, None], [[0, 0], [self.config.dim, 0]])

    def call(self, inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Encoded queries and items to `[b, dim + 1]` each."""
        history, item = self.items.distinct([inputs["history"], inputs["item"]])
        return self.embed_query(inputs, history), self.embed_item(item, inputs["item_stats"])

    @tf.function(reduce_retracing=True)
    def query_vectors(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Encoded queries to `[b, dim + 1]`."""
        return self.embed_query(inputs, self.items.distinct([inputs["history"]])[0])

    @tf.function(reduce_retracing=True)
    def item_vectors(self, rows: tf.Tensor, stats: tf.Tensor) -> tf.Tensor:
        """Items by row `[n]` with their statistics `[n, 7]`, to `[n, dim + 1]`."""
        return self.boosted(self.embed_item(self.items.distinct([rows])[0], stats), rows)

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Softmax over the batch's items and uniform ones, corrected by how often each is drawn."""
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
        """Embeddings by the vocabulary that their rows stand for."""
        return self.items.vocabulary() | self.context.vocabulary()


def identities(shape, dtype=None, **_) -> tf.Tensor:
    """The mean of the views: identity matrices, one below the other, over their number."""
    return tf.tile(tf.eye(shape[1], dtype=dtype), [shape[0] // shape[1], 1]) * (shape[1] / shape[0])


def embed_in_blocks(model: RetrievalModel, rows: np.ndarray, stats: np.ndarray, block: int = 8192) -> np.ndarray:
    """Items by row `[n]` with their statistics `[n, 7]`, embedded `[n, dim + 1]` block by block."""
    starts = range(0, len(rows), block)
    return np.concatenate([model.item_vectors(rows[i : i + block], stats[i : i + block]).numpy() for i in starts])


def newcomer_odds(scores: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The log odds of a new item against all others under the softmax of each query: `[n]`.

    Args:
        scores: of queries for every item, `[n, items]`, minus infinity where it was not out.
        new: which items training never had, bool `[items]`.
    """
    known = scipy_logsumexp(np.where(new, -np.inf, scores), axis=1)
    return scipy_logsumexp(np.where(new, scores, -np.inf), axis=1) - known


def newcomer_gain(odds: np.ndarray, was_new: np.ndarray) -> float:
    """The gain with which items that training never had are as likely, in all, as they may well be played.

    One scalar, with which the mean probability of the new items under the softmax over the catalogue is the share of
    positives that were new, at the upper end of its 95 % interval (Wilson 1927). Optimism, since what is not shown is
    not learned about: they gain or stay as they are, and never lose.

    Args:
        odds: `newcomer_odds` of held-out queries, `[n]`.
        was_new: whether the item that was played was new, bool `[n]`.

    Returns:
        The gain, from 0 to 5; 0 if no positive was new.
    """
    if not was_new.any():
        return 0.0
    share = wilson_upper(was_new.mean(), len(was_new))
    excess = lambda gain: float(np.mean(expit(gain + odds))) - share  # noqa: E731
    return MOST_GAIN if excess(MOST_GAIN) < 0 else 0.0 if excess(0.0) > 0 else float(brentq(excess, 0.0, MOST_GAIN))


def wilson_upper(share: float, count: int, z: float = 1.96) -> float:
    """The upper end of the 95 % interval of a share of `count` draws (Wilson 1927)."""
    centre = share + z**2 / (2 * count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return float((centre + half) / (1 + z**2 / count))


def held_out_gain(model: RetrievalModel, positives: list[Arrays], items: Arrays) -> float:
    """`newcomer_gain` on encoded positives `[b]` each, among the items that were out at each; see `held_out_ndcg`."""
    index = embed_in_blocks(model, items["item"], items["item_stats"])
    release = model.encoder.catalogue.release_ts.numpy()[items["item"]]
    own = model.encoder.catalogue.item_ids.numpy()[items["item"], 0]
    place = np.full(items["item"].max() + 1, -1)
    place[items["item"]] = np.arange(len(index))
    new = own <= model.encoder.lookups["item_id"].buckets
    odds = []
    for batch in positives:  # one at a time: scores of all of them and all items would be the most that training holds
        scores = query_vectors(model, batch) @ index.T
        odds.append(newcomer_odds(np.where(release <= batch["ts"][:, None], scores, -np.inf), new))
    target = np.concatenate([place[batch["item"]] for batch in positives])
    return newcomer_gain(np.concatenate(odds), new[target])


def held_out_ndcg(model: RetrievalModel, positives: list[Arrays], items: Arrays) -> float:
    """Mean NDCG@100 of encoded positives `[b]` each, every item being a candidate.

    The softmax loss grows with overconfidence long before the order of items gets worse.

    Args:
        model: the towers.
        positives: batches of encoded queries with their `item` and `weight`.
        items: `item` `[n]` and `item_stats` `[n, 7]`, the candidates.
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
    """Encoded queries, embedded `[b, dim + 1]`."""
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
        train: encoded queries and items of the positives, with their `weight`.
        validation: the same of the validation span; the epoch that ranks best there is kept.
        pool: items that uniform negatives are drawn from.
        items: the catalogue at the start of the validation span, encoded.
        encoder: how they were encoded.
        config: sizes and rates.
        seed: of initial weights, of the order of examples and of all draws.
        checkpoints: a folder that training resumes from.
        prepare: called with the new model before training, for a warm start.

    Returns:
        The model and its history: `loss`, `val_loss`, `judged`, `seconds`, `examples_per_second` by epoch.
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
        seconds=allowed(config.minutes, config.epochs, train.rows, SLOWEST),
        name="retrieval",
        judge=lambda: held_out_ndcg(model, judged, items),
    )
    model.newcomer.assign(held_out_gain(model, judged, items))
    return model, history

"""Multi-task ranking: predicts what the listener would do with each candidate if it were shown now.

The network has explicit feature crosses beside a deep part (DCN-v2, Wang et al., WWW 2021). Both feed experts that the
tasks share through gates (`models.ranking.mixture`). Each candidate attends to the history as in Deep Interest Network
(Zhou et al., KDD 2018). Position bias is taken out (`models.ranking.position`), and the probabilities are recalibrated
after training (`models.ranking.calibration`). The weights that combine the heads into one reward are configuration and
not part of the model.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from events.schema import HEADS, LISTEN, SKIP, TASKS
from models.fitting.loop import Model, create_weights, start, time_limit
from models.fitting.loop import fit as fit_model
from models.fitting.training_state import History
from models.graph_function import graph_function
from models.inputs.encoder import Encoder
from models.inputs.feature_names import QUERY_INPUTS
from models.inputs.shards import GROUP, Arrays, Shards
from models.inputs.towers import VIEWS, ContextEncoder, HistoryPooling, ItemEncoder, dropout
from models.ranking.calibration import fit_platt
from models.ranking.choice import OWN, ChoiceHead, candidate_features
from models.ranking.colistening import CoListening
from models.ranking.mixture import MixtureOfExperts
from models.ranking.position import PositionTower, decline_of_examination, examination
from models.ranking.slates import slates
from models.training_config import RankingConfig

keras = tf.keras

CHOICE = "choice"  # the output of the choice head: how much likelier a candidate is to play next than the average one
CROSSES, PROJECTION = 2, 32  # cross layers, and the rank of their weight matrices
EXPERTS, EXPERT, TOWER = 4, 32, 16  # number of experts, width of each, hidden width of each task's tower
DROPOUT = 0.1
SLOWEST = 5_000  # examples a second below which training stops early
MEASURED = 100_000  # training examples from which `measure` takes its statistics
# Features of a candidate for the choice head: its own, 7 statistics, 2 of co-listening, genre affinity, tasks' logits.
CHOICE_FEATURES = OWN + 7 + 3 + len(TASKS)
IDS, DEEP, POSITION = range(3)  # salts of the random draws: id dropout, dropout of the deep part, dropped positions


class RankingModel(Model):
    """Computes a logit for each task from the listener, the session, the candidate and the features of the pair.

    Args:
        encoder: the encoder of the inputs; it is saved with the model.
        config: sizes, and the treatment of position bias.
    """

    def __init__(self, encoder: Encoder, config: RankingConfig) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        dim = config.dim
        self.items = ItemEncoder(encoder, dim)
        self.pooling = HistoryPooling(encoder, dim)
        self.context = ContextEncoder(encoder)
        self.actions = keras.layers.Embedding(encoder.lookups["action"].size, dim)
        self.query = keras.layers.Dense(dim)
        self.crosses = [tfrs.layers.dcn.Cross(PROJECTION) for _ in range(CROSSES)]
        self.wide, self.narrow = keras.layers.Dense(128, "relu"), keras.layers.Dense(64, "relu")
        self.mixture = MixtureOfExperts(len(TASKS), EXPERTS, EXPERT, TOWER)
        self.direct = keras.layers.Dense(len(TASKS))
        self.position = PositionTower(encoder.lookups["surface"].size, len(TASKS))
        self.colistening = CoListening(encoder.catalogue.release_ts.shape[0])
        self.skip = int(encoder.lookups["action"](tf.constant(SKIP)))
        self.choice = ChoiceHead(CHOICE_FEATURES)
        self.choice(tf.zeros([1, 1, CHOICE_FEATURES]))  # builds its weights; `fit_choice` fits them later
        # Both divide the sum of the losses by the batch size. Rows with an unknown label weigh 0.
        self.binary = tfrs.tasks.Ranking(loss=keras.losses.BinaryCrossentropy(from_logits=True))
        self.regression = tfrs.tasks.Ranking(loss=keras.losses.Huber())
        self.slope = tf.Variable(tf.ones(len(HEADS)), trainable=False)
        self.offset = tf.Variable(tf.zeros(len(HEADS)), trainable=False)
        self.listened = tf.Variable([0.0, 1.0], trainable=False)  # mean and deviation of the label `listen`
        self.eta = tf.Variable(0.0, trainable=False)  # see `decline_of_examination`; with 0, outcomes are unweighted

    def describe_query(self, inputs, history: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Compute the part of the model that does not depend on the candidate.

        Args:
            inputs: encoded queries.
            history: their embedded histories, `[b, 50, dim]`.

        Returns:
            The history with embedded actions `[b, 50, dim]`, and the context `[b, c]`.
        """
        views = tf.reshape(self.pooling(history, inputs), [-1, VIEWS * self.config.dim])
        context = [views, self.context(inputs), inputs["user_dense"], inputs["session"]]
        return history + self.actions(inputs["history_action"]), tf.concat(context, axis=1)

    def score(self, query, present, item, request, seed=None) -> dict[str, tf.Tensor]:
        """Compute the logits of candidates; positions are ignored.

        Args:
            query: the result of `describe_query`.
            present: marks the entries of the history, float `[b, 50]`.
            item: embedded candidates, `[b, n, dim]`.
            request: features of the pairs of query and candidate, `[b, n, r]`.
            seed: seed of dropout; None drops nothing.

        Returns:
            The logits `[b, n]` of each task, the argument of `predictions`.
        """
        history, context = query
        wide = tf.repeat(context[:, None, :], tf.shape(item)[1], axis=1)
        projected = self.query(context)[:, None, :] * item
        return self.combine(wide, projected, item, attend(history, present, item), request, seed)

    def combine(self, wide, projected, item, attended, request, seed=None) -> dict[str, tf.Tensor]:
        """Compute the logits `[b, n]` of each task from the parts that describe each candidate and its request.

        Args:
            wide: the context of the request, `[b, n, c]`.
            projected: the elementwise product of the projected context and the candidate, `[b, n, dim]`.
            item: embedded candidates, `[b, n, dim]`.
            attended: the result of the candidate's attention to the history, `[b, n, dim]`.
            request: features of the pairs of query and candidate, `[b, n, r]`.
            seed: seed of dropout; None drops nothing.
        """
        # Embeddings start small, so at first their products are too small to learn from. Their cosine is not.
        angle = tf.reduce_sum(tf.nn.l2_normalize(attended, 2) * tf.nn.l2_normalize(item, 2), 2, keepdims=True)
        joint = tf.concat([wide, item, attended, attended * item, projected, angle, request], axis=2)
        crossed = joint
        for cross in self.crosses:
            crossed = cross(joint, crossed)
        deep = self.narrow(dropout(self.wide(joint), DROPOUT, seed))
        both = tf.concat([crossed, deep], axis=2)
        # The direct layer is a short path to the logits. With the experts alone, training on small data may stall.
        logits = self.direct(both) + self.mixture(both)  # [b, n, tasks]
        return dict(zip(TASKS, tf.unstack(logits, num=len(TASKS), axis=2), strict=True))

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> dict[str, tf.Tensor]:
        """Compute the logits `[b]` of each task for examples with one candidate each.

        The part that does not depend on the candidate is computed once for consecutive examples with the same `GROUP`,
        which usually are a slate. Without `GROUP` it is computed for each example.
        """
        seed = self.stateless_seed if training else lambda salt: None
        first, slate, place = slates(inputs.get(GROUP, tf.range(tf.size(inputs["item"]))))
        queries = {name: tf.gather(inputs[name], first) for name in QUERY_INPUTS}  # [s, ...]
        history, static = self.items.distinct([queries["history"], inputs["item"]], seed(IDS))
        item = static + self.items.dynamic(inputs["item_stats"])  # [b, dim]
        history, context = self.describe_query(queries, history)
        cells = tf.stack([slate, place], axis=1)  # where each example is in [s, longest slate]
        shape = [tf.size(first), tf.reduce_max(place) + 1, self.config.dim]
        attended = attend(history, tf.cast(queries["history"] > 0, tf.float32), tf.scatter_nd(cells, item, shape))
        projected = tf.gather(self.query(context), slate) * item
        parts = tf.gather(context, slate), projected, item, tf.gather_nd(attended, cells), inputs["request"]
        wide, projected, item, attended, request = (part[:, None, :] for part in parts)
        logits = self.combine(wide, projected, item, attended, request, seed(DEEP))
        return {task: value[:, 0] for task, value in logits.items()}

    def at_position(self, logits: dict[str, tf.Tensor], inputs, seed=None) -> dict[str, tf.Tensor]:
        """Add the effect of the logged positions to logits `[b]`; the unknown position 0 adds nothing."""
        added = tf.unstack(self.position(inputs["position"], inputs["surface"], seed), num=len(TASKS), axis=1)
        return {task: logits[task] + bias for task, bias in zip(TASKS, added, strict=True)}

    def choice_features(self, inputs, rows, stats, request, retrieval_scores, sequence_scores, logits) -> tf.Tensor:
        """Compute the features of candidates for the choice head, `[b, n, f]`.

        Args:
            inputs: encoded queries.
            rows: catalogue rows of the candidates, `[b, n]`.
            stats: encoded statistics of the candidates, `[b, n, 7]`.
            request: features of the pairs of query and candidate, `[b, n, r]`; the first is the genre affinity.
            retrieval_scores: `[b, n]`.
            sequence_scores: `[b, n]`.
            logits: the logits `[b, n]` of each task.
        """
        skipped = tf.cast(tf.equal(inputs["history_action"], self.skip), tf.float32)
        history = inputs["history"]
        together = [self.colistening.scores(history, weight, rows) for weight in (1.0 - skipped, skipped)]
        others = tf.stack([*together, request[..., 0], *(logits[task] for task in TASKS)], axis=2)
        age = inputs["history_age"]
        return candidate_features(retrieval_scores, sequence_scores, rows, stats, history, age, others)

    def predictions(self, logits: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Convert logits to recalibrated probabilities, and `listen` to log seconds, in the logits' shape."""
        slope, offset = tf.unstack(self.slope), tf.unstack(self.offset)
        out = {head: tf.sigmoid(a * logits[head] + b) for head, a, b in zip(HEADS, slope, offset, strict=True)}
        mean, deviation = tf.unstack(self.listened)
        return {**out, LISTEN: tf.maximum(mean + deviation * logits[LISTEN], 0.0)}

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The sum of the tasks' losses; unknown labels weigh 0.

        The position tower is used in training only, because the held-out loss must judge the model as it is served.
        """
        logits = self(inputs, training=training)
        if training and self.config.position_weighting == "tower":
            logits = self.at_position(logits, inputs, self.stateless_seed(POSITION))
        # Inverse propensity weighting (Saito et al., WSDM 2020): if a quarter of the listeners look at a position, an
        # outcome there counts four times.
        seen = examination(inputs["position"], self.eta)
        losses = [task_loss(self.binary, inputs[f"label_{h}"] / seen, logits[h], inputs[f"weight_{h}"]) for h in HEADS]
        listen = (inputs["label_listen"] - self.listened[0]) / self.listened[1]
        losses.append(task_loss(self.regression, listen, logits[LISTEN], inputs["weight_listen"]))
        return tf.add_n(losses)

    def measure(self, train: Arrays) -> None:
        """Set the scale of `listen` and `eta`, which the loss needs, from training examples."""
        listened = train["label_listen"][train["weight_listen"] > 0]
        if len(listened) and listened.std() > 0:
            self.listened.assign([listened.mean(), listened.std()])
        if self.config.position_weighting == "inverse_propensity":
            self.eta.assign(decline_of_examination(train["position"], train["surface"], outcomes(train)))

    def calibrate(self, held_out: Shards) -> None:
        """Fit each head's slope and offset on examples that the model was not trained on."""
        predict = graph_function(lambda batch: self(batch), reduce_retracing=True)
        parts: list[dict[str, np.ndarray]] = []
        for batch in held_out.batches(self.config.batch_size, None, 0):
            logits = predict({name: tf.constant(value) for name, value in batch.items()})
            parts.append({h: np.stack([logits[h], batch[f"label_{h}"], batch[f"weight_{h}"]]) for h in HEADS})
        fitted = []
        for head in HEADS:
            logits, labels, weights = np.concatenate([part[head] for part in parts], axis=1)
            fitted.append(fit_platt(logits[weights > 0], labels[weights > 0]))
        slope, offset = zip(*fitted, strict=True)
        self.slope.assign(slope)
        self.offset.assign(offset)

    def vocabulary_embeddings(self) -> dict[str, list[tf.Variable]]:
        """The embedding tables by the name of the vocabulary that indexes their rows."""
        return self.items.vocabulary() | self.context.vocabulary() | {"action": [self.actions.embeddings]}


def task_loss(task: tfrs.tasks.Ranking, labels: tf.Tensor, predictions: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The loss of a task for labels, predictions and weights `[b]`."""
    return task(labels=labels[:, None], predictions=predictions[:, None], sample_weight=weights, compute_metrics=False)


def attend(history: tf.Tensor, present: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
    """Attend from candidates to histories by the scaled dot product; an empty history gives zeros.

    Args:
        history: `[b, 50, dim]`.
        present: marks the entries of the history, float `[b, 50]`.
        item: embedded candidates, `[b, n, dim]`.

    Returns:
        Weighted means of the entries, `[b, n, dim]`.
    """
    logits = tf.einsum("bnd,bhd->bnh", item, history) / tf.sqrt(tf.cast(tf.shape(item)[-1], tf.float32))
    weights = tf.exp(logits - tf.reduce_max(logits, axis=2, keepdims=True)) * present[:, None, :]  # [b, n, 50]
    weights = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=2, keepdims=True))
    return tf.einsum("bnh,bhd->bnd", weights, history)


def outcomes(arrays: Arrays) -> np.ndarray:
    """Mark the examples with an outcome, `[n]`: 1 if the known label of any head is 1, else 0."""
    return np.max([arrays[f"label_{head}"] * (arrays[f"weight_{head}"] > 0) for head in HEADS], axis=0)


def fit(
    train: Shards,
    validation: Shards,
    encoder: Encoder,
    config: RankingConfig,
    seed: int,
    checkpoints: Path | None = None,
    prepare: Callable[[RankingModel], object] = lambda model: None,
) -> tuple[RankingModel, History]:
    """Train ranking on encoded examples and recalibrate it. `fit_choice` fits its choice head afterwards.

    Args:
        train: arrays of `models.inputs.training_arrays.ranking_arrays` for the train span.
        validation: the same arrays for the validation span; the epoch with the lowest loss on them is kept.
        encoder: the encoder of the arrays.
        config: sizes, epochs and learning rate.
        seed: seed of the initial weights, the order of examples and all random draws.
        checkpoints: a folder that training resumes from.
        prepare: called with the new model before training, for a warm start.

    Returns:
        The model and its history: for each epoch `loss`, `val_loss`, `judged`, `seconds` and `examples_per_second`.
    """
    start(seed)
    model = RankingModel(encoder, config)
    create_weights(model, train)
    prepare(model)
    model.choice.restart()  # a champion's choice head corrects the scores of another retrieval model
    model.measure(next(train.batches(min(train.rows, MEASURED), seed, 0)))
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
        name="ranking",
    )
    model.calibrate(validation)
    return model, history

"""Multi-task ranking: what comes of each candidate, were it shown to this listener now.

Explicit crosses beside a deep part (DCN-v2, Wang et al., WWW 2021) feed experts that the tasks share
through gates (`models.ranking.mixture`); the candidate attends to the history as in Deep Interest Network, Zhou
et al., KDD 2018. What the place on the slate does is kept out of what is served (`models.ranking.position`), and the
probabilities are recalibrated after training (`models.ranking.calibration`). The weights that combine the heads into
one reward are configuration, apart from the model.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from events.schema import HEADS, LISTEN, SKIP
from models.fitting.loop import History, Model, create_weights, start, time_limit
from models.fitting.loop import fit as fit_model
from models.inputs.encoder import Encoder
from models.inputs.feature_names import QUERY_INPUTS
from models.inputs.shards import GROUP, Arrays, Shards
from models.inputs.towers import VIEWS, ContextEncoder, HistoryPooling, ItemEncoder, dropout
from models.ranking.calibration import fit_platt
from models.ranking.choice import OWN, ChoiceHead, candidate_figures
from models.ranking.colistening import CoListening
from models.ranking.mixture import MixtureOfExperts
from models.ranking.position import PositionTower, decline_of_examination, examination
from models.training_config import RankingConfig

keras = tf.keras

CHOICE = "choice"  # how much likelier than the others' mean a candidate is to play next
TASKS = (*HEADS, LISTEN)
CROSSES, PROJECTION = 2, 32
EXPERTS, EXPERT, TOWER = 4, 32, 16
DROPOUT = 0.1
SLOWEST = 5_000  # examples a second below which training stops early
MEASURED = 100_000  # examples from which scales are taken
FIGURES = OWN + 7 + 3 + len(TASKS)  # of a candidate: its own, its statistics, co-listening and affinity, tasks' logits
SLATE = 16  # examples of one query that are attended to at once; shorter slates are filled up to the longest
IDS, DEEP, POSITION = range(3)  # salts of the random draws


class RankingModel(Model):
    """A logit a task over listener, session, candidate and what pairs them.

    Args:
        encoder: how inputs were encoded; it goes into the SavedModel with the model.
        config: sizes, and what is done about positions.
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
        self.choice = ChoiceHead(FIGURES)
        self.choice(tf.zeros([1, 1, FIGURES]))  # it is fitted apart; its weights are made here
        # The tasks' own reduction divides by the batch; masked rows weigh 0.
        self.binary = tfrs.tasks.Ranking(loss=keras.losses.BinaryCrossentropy(from_logits=True))
        self.regression = tfrs.tasks.Ranking(loss=keras.losses.Huber())
        self.slope = tf.Variable(tf.ones(len(HEADS)), trainable=False)
        self.offset = tf.Variable(tf.zeros(len(HEADS)), trainable=False)
        self.listened = tf.Variable([0.0, 1.0], trainable=False)  # mean and deviation of the log seconds
        self.eta = tf.Variable(0.0, trainable=False)  # how fast examination declines; 0 leaves outcomes unweighted

    def describe_query(self, inputs, history: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """What does not depend on the candidate, from inputs and their embedded history `[b, 50, dim]`.

        Returns:
            The history with its actions `[b, 50, dim]` and the context `[b, c]`.
        """
        views = tf.reshape(self.pooling(history, inputs), [-1, VIEWS * self.config.dim])
        context = [views, self.context(inputs), inputs["user_dense"], inputs["session"]]
        return history + self.actions(inputs["history_action"]), tf.concat(context, axis=1)

    def score(self, query, present, item, request, seed=None) -> dict[str, tf.Tensor]:
        """Logits of candidates, without regard to where they stand.

        Args:
            query: what `describe_query` returned.
            present: where the history has entries, float `[b, 50]`.
            item: embedded candidates `[b, n, dim]`.
            request: what pairs them, `[b, n, r]`.
            seed: of dropout; None drops nothing.

        Returns:
            One `[b, n]` of logits a task; `predictions` makes answers of them.
        """
        history, context = query
        wide = tf.repeat(context[:, None, :], tf.shape(item)[1], axis=1)
        projected = self.query(context)[:, None, :] * item
        return self.combine(wide, projected, item, attend(history, present, item), request, seed)

    def combine(self, wide, projected, item, attended, request, seed=None) -> dict[str, tf.Tensor]:
        """Logits of candidates `[b, n]` a task, from what is known of each.

        Args:
            wide: the request's context, `[b, n, c]`.
            projected: the product of what the request asks for with the candidate, `[b, n, dim]`.
            item: embedded candidates `[b, n, dim]`.
            attended: what the candidate reads of the history, `[b, n, dim]`.
            request: what pairs them, `[b, n, r]`.
            seed: of dropout; None drops nothing.
        """
        # Embeddings begin small, so their products begin too small to be learned from; their angle does not.
        angle = tf.reduce_sum(tf.nn.l2_normalize(attended, 2) * tf.nn.l2_normalize(item, 2), 2, keepdims=True)
        joint = tf.concat([wide, item, attended, attended * item, projected, angle, request], axis=2)
        crossed = joint
        for cross in self.crosses:
            crossed = cross(joint, crossed)
        deep = self.narrow(dropout(self.wide(joint), DROPOUT, seed))
        both = tf.concat([crossed, deep], axis=2)
        # The direct way to the logits is short: with the experts alone small data may not get off the ground.
        logits = self.direct(both) + self.mixture(both)  # [b, n, tasks]
        return dict(zip(TASKS, tf.unstack(logits, num=len(TASKS), axis=2), strict=True))

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> dict[str, tf.Tensor]:
        """One candidate an example: encoded inputs to logits `[b]` a task.

        What does not depend on the candidate is computed once for examples that follow each other with the same
        `GROUP`, a slate as a rule; without it, for each.
        """
        seed = self.stateless_seed if training else lambda salt: None
        first, own, place = slates(inputs.get(GROUP, tf.range(tf.size(inputs["item"]))))
        asked = {name: tf.gather(inputs[name], first) for name in QUERY_INPUTS}
        history, static = self.items.distinct([asked["history"], inputs["item"]], seed(IDS))
        item = static + self.items.dynamic(inputs["item_stats"])  # [b, dim]
        history, context = self.describe_query(asked, history)
        at = tf.stack([own, place], axis=1)
        shape = [tf.size(first), tf.reduce_max(place) + 1, self.config.dim]
        read = attend(history, tf.cast(asked["history"] > 0, tf.float32), tf.scatter_nd(at, item, shape))
        of_each = tf.gather(context, own), tf.gather(self.query(context), own) * item, item, tf.gather_nd(read, at)
        wide, projected, item, read, request = (value[:, None, :] for value in (*of_each, inputs["request"]))
        logits = self.combine(wide, projected, item, read, request, seed(DEEP))
        return {task: value[:, 0] for task, value in logits.items()}

    def at_position(self, logits: dict[str, tf.Tensor], inputs, seed=None) -> dict[str, tf.Tensor]:
        """Logits `[b]` of candidates that stand where the log says; a position of 0 leaves them as they are."""
        added = tf.unstack(self.position(inputs["position"], inputs["surface"], seed), num=len(TASKS), axis=1)
        return {task: logits[task] + bias for task, bias in zip(TASKS, added, strict=True)}

    def figures(self, inputs, rows, stats, request, scores, following, logits) -> tf.Tensor:
        """What the choice head looks at of candidates `[b, n]` that retrieval gave `scores` and the sequence model
        `following`: `[b, n, f]`."""
        skipped = tf.cast(tf.equal(inputs["history_action"], self.skip), tf.float32)
        history = inputs["history"]
        together = [self.colistening.scores(history, weight, rows) for weight in (1.0 - skipped, skipped)]
        said = tf.stack([*together, request[..., 0], *(logits[task] for task in TASKS)], axis=2)
        return candidate_figures(scores, following, rows, stats, inputs["history"], inputs["history_age"], said)

    def predictions(self, logits: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What logits say, in their shape: recalibrated probabilities, `listen` in log seconds."""
        slope, offset = tf.unstack(self.slope), tf.unstack(self.offset)
        out = {head: tf.sigmoid(a * logits[head] + b) for head, a, b in zip(HEADS, slope, offset, strict=True)}
        mean, deviation = tf.unstack(self.listened)
        return {**out, LISTEN: tf.maximum(mean + deviation * logits[LISTEN], 0.0)}

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The sum of the tasks' losses; a label that nothing states weighs 0.

        Outside training the position plays no part: what is judged is what is served.
        """
        logits = self(inputs, training=training)
        if training and self.config.position_weighting == "tower":
            logits = self.at_position(logits, inputs, self.stateless_seed(POSITION))
        # An outcome where few look stands for several that nobody saw (Saito et al., WSDM 2020).
        seen = examination(inputs["position"], self.eta)
        losses = [one(self.binary, inputs[f"label_{h}"] / seen, logits[h], inputs[f"weight_{h}"]) for h in HEADS]
        listen = (inputs["label_listen"] - self.listened[0]) / self.listened[1]
        losses.append(one(self.regression, listen, logits[LISTEN], inputs["weight_listen"]))
        return tf.add_n(losses)

    def measure(self, train: Arrays) -> None:
        """Take from training examples what the loss needs: the scale of `listen`, and how positions are looked at."""
        known = train["label_listen"][train["weight_listen"] > 0]
        if len(known) and known.std() > 0:
            self.listened.assign([known.mean(), known.std()])
        if self.config.position_weighting == "inverse_propensity":
            self.eta.assign(decline_of_examination(train["position"], train["surface"], outcomes(train)))

    def calibrate(self, held_out: Shards) -> None:
        """Fit each head's slope and offset on examples that the model was not trained on."""
        predict = tf.function(lambda batch: self(batch), reduce_retracing=True)
        found: list[dict[str, np.ndarray]] = []
        for batch in held_out.batches(self.config.batch_size, None, 0):
            logits = predict({name: tf.constant(value) for name, value in batch.items()})
            found.append({h: np.stack([logits[h], batch[f"label_{h}"], batch[f"weight_{h}"]]) for h in HEADS})
        fitted = []
        for head in HEADS:
            logits, labels, known = np.concatenate([part[head] for part in found], axis=1)
            fitted.append(fit_platt(logits[known > 0], labels[known > 0]))
        slope, offset = zip(*fitted, strict=True)
        self.slope.assign(slope)
        self.offset.assign(offset)

    def vocabulary_embeddings(self) -> dict[str, list[tf.Variable]]:
        """Embeddings by the vocabulary that their rows stand for."""
        return self.items.vocabulary() | self.context.vocabulary() | {"action": [self.actions.embeddings]}


def one(task: tfrs.tasks.Ranking, labels: tf.Tensor, predictions: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The loss of one task over `[b]` labels, predictions and weights."""
    return task(labels=labels[:, None], predictions=predictions[:, None], sample_weight=weights, compute_metrics=False)


def attend(history: tf.Tensor, present: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
    """What candidates `[b, n, dim]` read of histories `[b, 50, dim]`, where those are `present` `[b, 50]`."""
    fit = tf.einsum("bnd,bhd->bnh", item, history) / tf.sqrt(tf.cast(tf.shape(item)[-1], tf.float32))
    weights = tf.exp(fit - tf.reduce_max(fit, axis=2, keepdims=True)) * present[:, None, :]  # [b, n, 50]
    weights = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=2, keepdims=True))
    return tf.einsum("bnh,bhd->bnd", weights, history)


def slates(query: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Examples `[b]` that follow each other with the same query, at most `SLATE` at a time, as slates.

    Returns:
        The first example of each slate, int32 `[s]`; the slate of each example and its place there, int32 `[b]` each.
    """
    new = tf.concat([tf.ones_like(query[:1], tf.bool), query[1:] != query[:-1]], axis=0)
    place = since(new)
    new = place % SLATE == 0
    first = tf.cast(tf.where(new)[:, 0], tf.int32)
    return first, tf.cumsum(tf.cast(new, tf.int32)) - 1, place % SLATE


def since(new: tf.Tensor) -> tf.Tensor:
    """How many places each has come since the last true one, the first being true: bool to int32 `[n]`."""
    first = tf.cast(tf.where(new)[:, 0], tf.int32)
    return tf.range(tf.size(new)) - tf.gather(first, tf.cumsum(tf.cast(new, tf.int32)) - 1)


def outcomes(arrays: Arrays) -> np.ndarray:
    """1 where any head's label is 1, else 0: `[n]`."""
    return np.max([arrays[f"label_{head}"] * arrays[f"weight_{head}"] for head in HEADS], axis=0)


def fit(
    train: Shards,
    validation: Shards,
    encoder: Encoder,
    config: RankingConfig,
    seed: int,
    checkpoints: Path | None = None,
    prepare: Callable[[RankingModel], object] = lambda model: None,
) -> tuple[RankingModel, History]:
    """Train ranking on encoded examples, then recalibrate it; its choice head is fitted apart.

    Args:
        train: what `models.inputs.training_arrays.ranking_arrays` gives.
        validation: the same of the validation span; the epoch with the lowest loss there is kept.
        encoder: how they were encoded.
        config: sizes and rates.
        seed: of initial weights, of the order of examples and of all draws.
        checkpoints: a folder that training resumes from.
        prepare: called with the new model before training, for a warm start.

    Returns:
        The model and its history: `loss`, `val_loss`, `judged`, `seconds`, `examples_per_second` by epoch.
    """
    start(seed)
    model = RankingModel(encoder, config)
    create_weights(model, train)
    prepare(model)
    model.choice.restart()  # a champion's corrects the scores of another retrieval model
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

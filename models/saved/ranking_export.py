"""The ranking SavedModel: candidates to a prediction for each head and the reward that combines them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf

from events.schema import TASKS
from models.graph_function import graph_function
from models.inputs.encoder import known_numbers, request_dense
from models.inputs.feature_names import AGE, AGE_COLUMNS
from models.inputs.item_age import age_at_request
from models.inputs.raw_query import item_stats
from models.inputs.signature_specs import item_specs, query_specs, specs
from models.ranking.model import CHOICE, RankingModel
from models.saved.saved_model import save, static_vectors

LIFT_FLOOR = 1e-9  # the lowest share times count; its logarithm stands where a request has no candidate


class ServedRanking(tf.Module):
    """Scores candidates by every head and by the reward, the weighted sum that orders them.

    The items' statistics are inside the model, so that a request brings candidate ids alone.

    Args:
        model: the trained heads.
        items: the catalogue with statistics as of the push, in the order of the encoder's catalogue.
        reward: weight of each head, of `listen` and of `choice`.
    """

    def __init__(self, model: RankingModel, items: pa.Table, reward: dict[str, float]) -> None:
        super().__init__()
        self.model = model
        self.catalogue = model.encoder.catalogue
        self.reward = {name: float(reward[name]) for name in (*TASKS, CHOICE)}
        self.static = tf.Variable(static_vectors(model), trainable=False)  # [rows, dim]
        free = self.static.shape[0] - 1 - items.num_rows
        # Row 0 and free rows have no plays. Their age is replaced by the age at the request.
        padded = {name: np.pad(values, (1, free)) for name, values in item_stats(items).items()}
        self.stats = tf.Variable(model.encoder.encode_stats(padded), trainable=False)  # [rows, 7]
        self.plays = tf.Variable(padded["item_plays_28d"], trainable=False)  # [rows]

    def answer(self, logits: dict[str, tf.Tensor], choice: tf.Tensor) -> dict[str, tf.Tensor]:
        """The predictions of the heads, `choice`, and their weighted sum `reward`, all in the logits' shape."""
        out = {**self.model.predictions(logits), CHOICE: choice}
        return {**out, "reward": tf.add_n([weight * out[name] for name, weight in self.reward.items()])}

    def describe(
        self, candidate_ids, retrieval_scores, sequence_scores, **raw
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Compute the logits `[b, n]` of each task and the inputs of the choice head `[b, n, f]`; see `rank`."""
        raw = known_numbers(raw)
        inputs = self.model.encoder.encode_query(raw)
        rows = self.catalogue.rows(candidate_ids)  # [b, n]
        age = age_at_request(tf.gather(self.catalogue.release_ts, rows), raw["request_ts"][:, None])
        weights = tf.gather(self.catalogue.content, rows)[..., : self.model.encoder.axes.genres]
        affinity = tf.einsum("bng,bg->bn", weights, raw["genre_shares"])
        request = request_dense(affinity, age)  # [b, n, 3]
        stats = tf.concat([tf.gather(self.stats, rows)[..., :AGE_COLUMNS], request[..., 1:]], axis=2)
        item = tf.gather(self.static, rows) + self.model.items.dynamic(stats)  # [b, n, dim]
        present = tf.cast(inputs["history"] > 0, tf.float32)
        query = self.model.describe_query(inputs, tf.gather(self.static, inputs["history"]))
        logits = self.model.score(query, present, item, request)
        return logits, self.model.choice_features(
            inputs, rows, stats, request, retrieval_scores, sequence_scores, logits
        )

    def rank(
        self, candidate_ids: tf.Tensor, retrieval_scores: tf.Tensor, sequence_scores: tf.Tensor, **raw: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Score candidates of the catalogue: each output is `[b, n]`.

        Args:
            candidate_ids: string `[b, n]`; '' fills a row that has fewer candidates.
            retrieval_scores: the retrieval model's scores `[b, n]`. A candidate that retrieval did not return has the
                lowest score that it returned; all scores are 0 if retrieval was not called. A score that is not a
                finite number counts as the lowest of the row.
            sequence_scores: the sequence model's scores `[b, n]`, filled in the same way.
            raw: the query; see `query_specs`.

        Returns:
            The outputs of `answer`, and `uncertainty`, 1 / sqrt(1 + plays of 28 days), in (0, 1]. `choice` is the
            logarithm of how many times likelier a candidate is to play next than the request's average candidate.
        """
        present = tf.not_equal(candidate_ids, "")
        scores = [least_for_gaps(values, present) for values in (retrieval_scores, sequence_scores)]
        logits, features = self.describe(candidate_ids, *scores, **raw)
        choice = lift(self.model.choice(features), present)
        plays = tf.gather(self.plays, self.catalogue.rows(candidate_ids))
        return {**self.answer(logits, choice), "uncertainty": tf.math.rsqrt(1.0 + plays)}

    def score(self, genre_affinity, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Score one candidate per example from given statistics: each output is `[b]`, and `choice` is 0."""
        inputs = {**self.model.encoder.encode_query(raw), **self.model.encoder.encode_item(raw)}
        inputs["request"] = request_dense(genre_affinity, raw[AGE])
        return self.answer(self.model(inputs), tf.zeros_like(genre_affinity))


def least_for_gaps(scores: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """Replace scores that are not finite by the least finite score of the row's candidates, 0 if it has none.

    Otherwise one NaN would make the choice, and so the reward, of all candidates of the row NaN.

    Args:
        scores: `[b, n]`.
        present: marks the places that hold a candidate, bool `[b, n]`.
    """
    finite = tf.math.is_finite(scores)
    least = tf.reduce_min(tf.where(finite & present, scores, np.inf), axis=1, keepdims=True)
    return tf.where(finite, scores, tf.where(tf.math.is_finite(least), least, 0.0))


def lift(logits: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """The logarithm of each candidate's softmax share times the number of candidates, `[b, n]`.

    For example, a candidate with half the probability among four has log(0.5 * 4) = log 2.

    Args:
        logits: `[b, n]`.
        present: marks the places that hold a candidate, bool `[b, n]`; the others get log(`LIFT_FLOOR`).
    """
    shares = tf.nn.softmax(tf.where(present, logits, -np.inf), axis=1)
    count = tf.reduce_sum(tf.cast(present, tf.float32), axis=1, keepdims=True)
    shares = tf.where(present, shares, 0.0)  # the softmax of a request without candidates is nan
    return tf.math.log(tf.maximum(shares * count, LIFT_FLOOR))


def export_ranking(model: RankingModel, items: pa.Table, reward: dict[str, float], lineage: dict, path: Path) -> None:
    """Write the ranking SavedModel with the signatures `serving_default` (candidate ids) and `score` (statistics).

    Args:
        model: the trained heads.
        items: the catalogue as of the push.
        reward: weight of each head, of `listen` and of `choice`.
        lineage: the run and data that the model comes from; it goes into the card.
        path: a folder that does not exist yet.
    """
    module = ServedRanking(model, items, reward)
    query, item = query_specs(model.encoder.axes), item_specs()
    candidates = specs(["candidate_ids"], [None, None], tf.string) | specs(
        ["retrieval_scores", "sequence_scores"], [None, None], tf.float32
    )
    affinity = specs(["genre_affinity"], [None], tf.float32)
    signatures = {
        "serving_default": graph_function(module.rank).get_concrete_function(**query, **candidates),
        "score": graph_function(module.score).get_concrete_function(**query, **item, **affinity),
    }
    save(module, signatures, {**lineage, "reward": module.reward}, path)

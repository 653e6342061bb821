"""The two stages together: retrieval and the sequence model find candidates, and the ranking model orders them."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from scipy.sparse import csr_matrix

from models.evaluation.metrics import Interval, bootstrap_mean, ndcg_at, rank_of_target
from models.graph_function import graph_function
from models.inputs.arrow_columns import seconds
from models.inputs.axes import Axes
from models.inputs.raw_query import in_batches, raw_item, raw_query
from models.inputs.shards import Arrays
from models.ranking.choice import MIN_LISTS, SEQUENCE, ChoiceHead, fit_choice
from models.saved.added_items import known_rows
from models.saved.card import read_card
from models.saved.ranking_export import ServedRanking
from models.saved.saved_model import call
from segue.candidates import RETRIEVAL_CANDIDATES, SEQUENCE_CANDIDATES, fill_missing

BATCH = 64  # requests of a batch for the ranking model
JUDGED = 0.25  # share of the lists, the latest, on which the gain of the sequence features is measured


@dataclass(frozen=True)
class Lists:
    """Candidates of requests: those of retrieval, best first, then those that only the sequence model found.

    Attributes:
        ids: item ids, object `[n, k]`; '' where a request has fewer candidates.
        retrieval_scores: float32 `[n, k]`; a candidate that retrieval did not find has the lowest score that it found.
        sequence_scores: the same for the sequence model; all 0 if it was not called.
    """

    ids: np.ndarray
    retrieval_scores: np.ndarray
    sequence_scores: np.ndarray

    def take(self, rows: np.ndarray | slice) -> "Lists":
        """Select the lists of some requests."""
        return Lists(self.ids[rows], self.retrieval_scores[rows], self.sequence_scores[rows])

    def inputs(self) -> Arrays:
        """The inputs of the ranking model's signature."""
        return {
            "candidate_ids": self.ids,
            "retrieval_scores": self.retrieval_scores,
            "sequence_scores": self.sequence_scores,
        }


def released_unseen(chunk: pa.Table, items: pa.Table, filter_seen: bool) -> np.ndarray:
    """Mark the candidates of each request, bool `[n, items]`.

    Args:
        chunk: rows of a training set.
        items: the catalogue. An item is a candidate from its release on.
        filter_seen: exclude the items of the row's history.
    """
    release = pc.fill_null(items["release_ts"], 0).to_numpy()
    allowed = release[None, :] <= seconds(chunk["ts"])[:, None]
    if filter_seen:
        history = chunk["history_items"].combine_chunks()
        index = pc.index_in(pc.list_flatten(history), items["item_id"].combine_chunks())
        rows = np.repeat(np.arange(chunk.num_rows), pc.list_value_length(history).to_numpy())
        in_catalogue = index.is_valid().to_numpy(zero_copy_only=False)
        allowed[rows[in_catalogue], index.drop_null().to_numpy()] = False
    return allowed


class Scorer:
    """Scores all items for each request with a retrieval or sequence SavedModel, by the dot product of their vectors.

    Args:
        saved_model: the folder of the SavedModel. A retrieval model embeds the items with the statistics of `items`; a
            sequence model has the items' vectors.
        items: the items to score.
    """

    def __init__(self, saved_model: Path, items: pa.Table) -> None:
        loaded = tf.saved_model.load(str(saved_model))
        self.axes = Axes(**read_card(saved_model)["axes"])
        self.unknown = np.zeros(items.num_rows, bool)  # items that the model does not know
        if "embed_query" in loaded.signatures:
            self.query = loaded.signatures["embed_query"]
            batches = in_batches(raw_item(items), 8192)
            self.index = np.concatenate([call(loaded.signatures["embed_item"], b)["embedding"] for b in batches])
        else:
            self.query = loaded.signatures["embed"]
            rows = known_rows(loaded.catalogue, items["item_id"].to_pylist())
            self.index, self.unknown = loaded.index.embeddings.numpy()[rows], rows == 0
        self.inputs = set(self.query.structured_input_signature[1])

    def embed(self, chunk: pa.Table) -> np.ndarray:
        """Embed the query of each row of a training set's table, `[n, dim]`."""
        raw = {name: values for name, values in raw_query(chunk, self.axes).items() if name in self.inputs}
        return call(self.query, raw)["embedding"]

    def __call__(self, chunk: pa.Table) -> np.ndarray:
        """Score each item for each row of a training set's table, `[n, items]`; minus infinity for unknown items."""
        return np.where(self.unknown, -np.inf, self.embed(chunk) @ self.index.T)


def best(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the `k` best items of each row, best first.

    Args:
        scores: `[n, items]`; minus infinity for an item that is no candidate.
        k: how many; all items if there are fewer.

    Returns:
        The columns of the items, int `[n, k]`, and their scores, float32 `[n, k]`. Where a row has fewer candidates,
        the column is -1 and the score minus infinity.
    """
    k = min(k, scores.shape[1])
    top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    values = np.take_along_axis(scores, top, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    top, values = np.take_along_axis(top, order, axis=1), np.take_along_axis(values, order, axis=1)
    return np.where(np.isfinite(values), top, -1), values.astype(np.float32)


def merge(first: np.ndarray, second: np.ndarray | None, ids: np.ndarray) -> Lists:
    """Merge the best candidates of retrieval and of the sequence model; a candidate of both is listed once.

    Args:
        first: retrieval's scores of all items, `[n, items]`; minus infinity for an item that is no candidate.
        second: the sequence model's scores, `[n, items]`; None if it is not called.
        ids: ids of the items, object `[items]`.
    """
    named = np.append(ids, "")  # the column -1 has the id ''
    top, scores = best(first, RETRIEVAL_CANDIDATES)
    if second is None:
        return Lists(named[top], fill_missing(scores), np.zeros_like(scores))
    next_top, next_scores = best(second, SEQUENCE_CANDIDATES)
    sizes = (len(first), len(ids) + 1)
    by_first, by_second = np.full(sizes, -np.inf, np.float32), np.full(sizes, -np.inf, np.float32)
    np.put_along_axis(by_first, top, scores, axis=1)
    np.put_along_axis(by_second, next_top, next_scores, axis=1)
    twice = np.isfinite(np.take_along_axis(by_first, next_top, axis=1))
    places = np.concatenate([top, np.where(twice, -1, next_top)], axis=1)
    both = (np.take_along_axis(scores, places, axis=1) for scores in (by_first, by_second))
    return Lists(named[places], *(fill_missing(scores) for scores in both))


def candidate_lists(
    models: dict[str, Path], table: pa.Table, items: pa.Table, filter_seen: bool, earlier: pa.Table | None = None
) -> Lists:
    """Find retrieval's 200 and the sequence model's 100 best items for each row of a table, by an exact search.

    Args:
        models: SavedModels: `retrieval` and optionally `sequence`.
        table: rows of a training set.
        items: the catalogue.
        filter_seen: exclude the items of the row's history and the listener's items in `earlier`.
        earlier: items heard before all rows, with the columns `user_id` and `item_id`. They complete the history, which
            has only the last 50 items.
    """
    scorers = {name: Scorer(path, items) for name, path in models.items()}
    ids = np.asarray(items["item_id"].to_pylist(), object)
    heard = heard_earlier(table, items, earlier) if filter_seen and earlier is not None else None
    parts = []
    for start in range(0, table.num_rows, 1000):
        chunk = table.slice(start, 1000)
        allowed = released_unseen(chunk, items, filter_seen)
        if heard is not None:
            allowed[heard[start : start + 1000].nonzero()] = False
        scores = {name: np.where(allowed, scorer(chunk), -np.inf) for name, scorer in scorers.items()}
        parts.append(merge(scores["retrieval"], scores.get("sequence"), ids))
    return Lists(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Lists)))


def heard_earlier(table: pa.Table, items: pa.Table, earlier: pa.Table) -> csr_matrix:
    """Mark the items that each row's listener has in `earlier`, a sparse bool matrix `[rows, items]`."""
    users = pc.unique(table["user_id"])
    user, item = (
        pc.index_in(earlier["user_id"], users),
        pc.index_in(earlier["item_id"], items["item_id"].combine_chunks()),
    )
    valid = pc.and_(user.is_valid(), item.is_valid())
    cells = (user.filter(valid).to_numpy(), item.filter(valid).to_numpy())
    heard = csr_matrix((np.ones(len(cells[0]), bool), cells), shape=(len(users), items.num_rows))
    return heard[pc.index_in(table["user_id"], users).to_numpy()]


@dataclass(frozen=True)
class Choices:
    """The training examples of the choice head: lists of candidates in order of time, each with one chosen candidate.

    Attributes:
        features: features of the candidates, float32 `[lists, n, f]`.
        present: marks the places that hold a candidate, bool `[lists, n]`.
        chosen: the place of the chosen candidate, int `[lists]`.
        users: the listener of each list, `[lists]`.
    """

    features: np.ndarray
    present: np.ndarray
    chosen: np.ndarray
    users: np.ndarray


def choices(served: ServedRanking, table: pa.Table, lists: Lists) -> Choices:
    """Compute the training examples of the choice head. Rows whose item is not among the candidates are left out.

    Args:
        served: the ranking model with the catalogue as of the start of the span.
        table: positives in order of time, from a span on which the models that found the candidates were not trained.
        lists: the candidates of the rows.
    """
    chosen = lists.ids == np.asarray(table["item_id"].to_pylist(), object)[:, None]
    rows = np.flatnonzero(chosen.any(axis=1))
    kept, own = table.take(pa.array(rows)), lists.take(rows)
    inputs = raw_query(kept, served.model.encoder.axes) | own.inputs()
    describe = graph_function(lambda batch: served.describe(**batch)[1], reduce_retracing=True)
    parts = [describe(tensors(batch)).numpy() for batch in in_batches(inputs, BATCH)] if len(rows) else []
    features = np.concatenate(parts) if parts else np.zeros((0, 1, 1), np.float32)
    return Choices(features, own.ids != "", chosen[rows].argmax(axis=1), np.asarray(kept["user_id"].to_pylist()))


def gain_of_sequence(head: ChoiceHead, examples: Choices, seed: int) -> Interval | None:
    """Measure the NDCG@10 that the sequence model's features add to the order of the latest quarter of the lists.

    A head is fitted on the earlier lists with these features and without; the candidates are the same. The weights of
    `head` are restored afterwards. None if there are too few lists to fit a head.
    """
    before = round(len(examples.chosen) * (1 - JUDGED))
    if before < MIN_LISTS:
        return None
    original = head.get_weights()
    head.restart()
    unfitted = head.get_weights()
    gains = []
    for features in (examples.features, without_sequence(examples.features)):
        head.set_weights(unfitted)
        fit_choice(head, features[:before], examples.present[:before], examples.chosen[:before], seed)
        scores = head(tf.constant(features[before:])).numpy()
        order = np.where(examples.present[before:], scores, -np.inf)
        gains.append(ndcg_at(rank_of_target(order, examples.chosen[before:]), 10))
    head.set_weights(original)
    return bootstrap_mean(gains[0] - gains[1], examples.users[before:], seed)


def without_sequence(features: np.ndarray) -> np.ndarray:
    """Return the features `[lists, n, f]` that the candidates would have if the sequence model were not called."""
    features = features.copy()
    features[..., SEQUENCE] = 0.0
    return features


def fit_order(head: ChoiceHead, examples: Choices, has_sequence: bool, seed: int) -> dict:
    """Fit a choice head. If the sequence model's features lower NDCG significantly, the head ignores them.

    Args:
        head: a built, unfitted head.
        examples: the training examples.
        has_sequence: whether the sequence model was called for the candidates.
        seed: seed of the order of the lists and of the bootstrap.

    Returns:
        The result of `fit_choice`. With enough lists also `sequence_ndcg_at_10`, the gain of the sequence model's
        features with its interval, and `sequence_used`, which is false if the whole interval is below 0.
    """
    gain = gain_of_sequence(head, examples, seed) if has_sequence else None
    if gain is None:
        return fit_choice(head, examples.features, examples.present, examples.chosen, seed)
    used = gain.high >= 0
    features = examples.features if used else without_sequence(examples.features)
    fitted = fit_choice(head, features, examples.present, examples.chosen, seed)
    if not used:
        head.ignore(SEQUENCE)
    return {**fitted, "sequence_ndcg_at_10": asdict(gain), "sequence_used": used}


def rank_lists(saved_model: Path, table: pa.Table, lists: Lists) -> Arrays:
    """Call a ranking SavedModel for the candidates of each row; each output is `[n, k]`."""
    signature = tf.saved_model.load(str(saved_model)).signatures["serving_default"]
    inputs = raw_query(table, Axes(**read_card(saved_model)["axes"]))
    inputs |= lists.inputs()
    parts = [call(signature, batch) for batch in in_batches(inputs, BATCH)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def tensors(arrays: Arrays) -> dict[str, tf.Tensor]:
    """Convert arrays to tensors. Object arrays become string tensors."""
    return {name: tf.constant(values) for name, values in arrays.items()}

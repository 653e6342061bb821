"""What is found before the ranking model: how its choice head is fitted to it, and how both stages rank together."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from scipy.sparse import csr_matrix

from models.evaluation.metrics import Interval, bootstrap_mean, ndcg_at, rank_of_target
from models.inputs.arrow_columns import seconds
from models.inputs.encoder import Axes
from models.inputs.raw_query import in_batches, raw_item, raw_query
from models.inputs.shards import Arrays
from models.ranking.choice import FEWEST, SEQUENCE, ChoiceHead, fit_choice
from models.saved.added_items import known_rows
from models.saved.card import read_card
from models.saved.ranking_export import ServedRanking
from models.saved.saved_model import call
from segue.candidates import RETRIEVAL_CANDIDATES, SEQUENCE_CANDIDATES, fill_missing

BATCH = 64  # requests at once before the ranking model
JUDGED = 0.25  # share of the lists, the latest, by which a figure's worth is judged


@dataclass(frozen=True)
class Lists:
    """What is found for requests: retrieval's candidates, best first, then what only the sequence model found.

    Attributes:
        ids: object `[n, k]`, '' where candidates ran out.
        scores: retrieval's, float32 `[n, k]`; what it did not find has the least of what it did.
        following: the sequence model's, likewise; 0 throughout if it was not asked.
    """

    ids: np.ndarray
    scores: np.ndarray
    following: np.ndarray

    def take(self, rows: np.ndarray | slice) -> "Lists":
        """The lists of some requests."""
        return Lists(self.ids[rows], self.scores[rows], self.following[rows])

    def inputs(self) -> Arrays:
        """As the ranking model takes them."""
        return {"candidate_ids": self.ids, "retrieval_scores": self.scores, "sequence_scores": self.following}


def released_unseen(chunk: pa.Table, items: pa.Table, filter_seen: bool) -> np.ndarray:
    """Which items may answer each request, bool `[n, items]`: released and, if so asked, not in the history."""
    release = pc.fill_null(items["release_ts"], 0).to_numpy()
    allowed = release[None, :] <= seconds(chunk["ts"])[:, None]
    if filter_seen:
        history = chunk["history_items"].combine_chunks()
        index = pc.index_in(pc.list_flatten(history), items["item_id"].combine_chunks())
        rows = np.repeat(np.arange(chunk.num_rows), pc.list_value_length(history).to_numpy())
        known = index.is_valid().to_numpy(zero_copy_only=False)
        allowed[rows[known], index.drop_null().to_numpy()] = False
    return allowed


class Scorer:
    """A SavedModel that finds candidates by a dot product, and the vectors of all items in it.

    Args:
        saved_model: its folder; of retrieval, whose items have the statistics of the table, or of the sequence model.
        items: the candidates.
    """

    def __init__(self, saved_model: Path, items: pa.Table) -> None:
        loaded = tf.saved_model.load(str(saved_model))
        self.axes = Axes(**read_card(saved_model)["axes"])
        self.unknown = np.zeros(items.num_rows, bool)  # what the model could not answer
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
        """What is compared with the items' vectors, for each row of a training set's table: `[n, dim]`."""
        raw = {name: values for name, values in raw_query(chunk, self.axes).items() if name in self.inputs}
        return call(self.query, raw)["embedding"]

    def __call__(self, chunk: pa.Table) -> np.ndarray:
        """The score of each item for each row of a training set's table, `[n, items]`; -inf for unknown items."""
        return np.where(self.unknown, -np.inf, self.embed(chunk) @ self.index.T)


def best(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The `k` best items of each row of `scores` `[n, items]`, where minus infinity is no candidate.

    Returns:
        Items by number, int `[n, k]`, -1 where candidates ran out, and their scores, minus infinity there.
    """
    k = min(k, scores.shape[1])
    top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    values = np.take_along_axis(scores, top, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    top, values = np.take_along_axis(top, order, axis=1), np.take_along_axis(values, order, axis=1)
    found = np.isfinite(values)
    return np.where(found, top, -1), values.astype(np.float32)


def merge(first: np.ndarray, second: np.ndarray | None, ids: np.ndarray) -> Lists:
    """The candidates of retrieval and of the sequence model, each once.

    Args:
        first: retrieval's scores of all items, minus infinity for what is no candidate, `[n, items]`.
        second: the sequence model's; None if it is not asked.
        ids: of the items, object `[items]`.
    """
    named = np.append(ids, "")  # -1 is nothing
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
    own, following = (np.take_along_axis(scored, places, axis=1) for scored in (by_first, by_second))
    return Lists(named[places], fill_missing(own), fill_missing(following))


def candidate_lists(
    models: dict[str, Path], table: pa.Table, items: pa.Table, filter_seen: bool, earlier: pa.Table | None = None
) -> Lists:
    """Retrieval's 200 best and the sequence model's 100 best for each row of a table, by an exact search.

    Args:
        models: SavedModels: `retrieval` and, if it is to be asked, `sequence`.
        table: rows of a training set.
        items: the candidates.
        filter_seen: whether what a listener has had is no candidate: what is in the row's history, and
        earlier: what was heard before all rows, `user_id` and `item_id`, since a history holds the last 50 alone.
    """
    score = {name: Scorer(path, items) for name, path in models.items()}
    ids = np.asarray(items["item_id"].to_pylist(), object)
    had = pairs(table, items, earlier) if filter_seen and earlier is not None else None
    parts = []
    for start in range(0, table.num_rows, 1000):
        chunk = table.slice(start, 1000)
        allowed = released_unseen(chunk, items, filter_seen)
        if had is not None:
            allowed[had[start : start + 1000].nonzero()] = False
        scores = {name: np.where(allowed, one(chunk), -np.inf) for name, one in score.items()}
        parts.append(merge(scores["retrieval"], scores.get("sequence"), ids))
    return Lists(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Lists)))


def pairs(table: pa.Table, items: pa.Table, earlier: pa.Table) -> csr_matrix:
    """Which items each row's listener had earlier, `[rows, items]`."""
    users = pc.unique(table["user_id"])
    user, item = (
        pc.index_in(earlier["user_id"], users),
        pc.index_in(earlier["item_id"], items["item_id"].combine_chunks()),
    )
    known = pc.and_(user.is_valid(), item.is_valid())
    place = (user.filter(known).to_numpy(), item.filter(known).to_numpy())
    had = csr_matrix((np.ones(len(place[0]), bool), place), shape=(len(users), items.num_rows))
    return had[pc.index_in(table["user_id"], users).to_numpy()]


@dataclass(frozen=True)
class Choices:
    """What was chosen among candidates, as the choice head takes it: lists in order of time.

    Attributes:
        figures: of candidates, float32 `[lists, n, f]`.
        present: where there is a candidate, bool `[lists, n]`.
        chosen: the place of the candidate that was chosen, int `[lists]`.
        users: whose list each is, `[lists]`.
    """

    figures: np.ndarray
    present: np.ndarray
    chosen: np.ndarray
    users: np.ndarray


def choices(served: ServedRanking, table: pa.Table, lists: Lists) -> Choices:
    """What was chosen, where it is among the candidates; other rows say nothing.

    Args:
        served: the model with the catalogue as of the span's start.
        table: positives in order of time, later than what the candidates' models were trained on.
        lists: their candidates.
    """
    chosen = lists.ids == np.asarray(table["item_id"].to_pylist(), object)[:, None]
    rows = np.flatnonzero(chosen.any(axis=1))
    kept, own = table.take(pa.array(rows)), lists.take(rows)
    inputs = raw_query(kept, served.model.encoder.axes) | own.inputs()
    describe = tf.function(lambda batch: served.describe(**batch)[1], reduce_retracing=True)
    parts = [describe(tensors(batch)).numpy() for batch in in_batches(inputs, BATCH)] if len(rows) else []
    figures = np.concatenate(parts) if parts else np.zeros((0, 1, 1), np.float32)
    return Choices(figures, own.ids != "", chosen[rows].argmax(axis=1), np.asarray(kept["user_id"].to_pylist()))


def worth_of_sequence(head: ChoiceHead, known: Choices, seed: int) -> Interval | None:
    """What the sequence model's figures add to NDCG@10 of the lists' order, on the latest quarter of the lists.

    The head is fitted twice on the lists before, with these figures and without; the candidates are the same. It is
    left as it was. None with too few lists to fit anything.
    """
    before = round(len(known.chosen) * (1 - JUDGED))
    if before < FEWEST:
        return None
    left = head.get_weights()
    head.restart()
    begin = head.get_weights()
    gains = []
    for figures in (known.figures, without_sequence(known.figures)):
        head.set_weights(begin)
        fit_choice(head, figures[:before], known.present[:before], known.chosen[:before], seed)
        order = np.where(known.present[before:], head(tf.constant(figures[before:])).numpy(), -np.inf)
        gains.append(ndcg_at(rank_of_target(order, known.chosen[before:]), 10))
    head.set_weights(left)
    return bootstrap_mean(gains[0] - gains[1], known.users[before:], seed)


def without_sequence(figures: np.ndarray) -> np.ndarray:
    """Figures `[lists, n, f]` as if the sequence model had not been asked."""
    found = figures.copy()
    found[..., SEQUENCE] = 0.0
    return found


def fit_order(head: ChoiceHead, known: Choices, asked: bool, seed: int) -> dict:
    """Fit a choice head; where the sequence model's figures are known to do harm, it does not look at them.

    Args:
        head: built, as it begins.
        known: what was chosen.
        asked: whether the sequence model was.
        seed: of the order of lists and of the bootstrap.

    Returns:
        What `fit_choice` does, and with enough lists `sequence_ndcg_at_10`, what the sequence model's figures add, with
        the interval, and `sequence_used`.
    """
    worth = worth_of_sequence(head, known, seed) if asked else None
    if worth is None:
        return fit_choice(head, known.figures, known.present, known.chosen, seed)
    used = worth.high >= 0
    figures = known.figures if used else without_sequence(known.figures)
    fitted = fit_choice(head, figures, known.present, known.chosen, seed)
    if not used:
        head.ignore(SEQUENCE)
    return {**fitted, "sequence_ndcg_at_10": asdict(worth), "sequence_used": used}


def rank_lists(saved_model: Path, table: pa.Table, lists: Lists) -> Arrays:
    """What a ranking SavedModel answers to candidates, each output `[n, k]`."""
    signature = tf.saved_model.load(str(saved_model)).signatures["serving_default"]
    inputs = raw_query(table, Axes(**read_card(saved_model)["axes"]))
    inputs |= lists.inputs()
    parts = [call(signature, batch) for batch in in_batches(inputs, BATCH)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def tensors(arrays: Arrays) -> dict[str, tf.Tensor]:
    """Arrays as tensors; strings come as object arrays."""
    return {name: tf.constant(values) for name, values in arrays.items()}

"""Retrieval's candidates before the ranking model: how its choice head is fitted, and how both stages rank together."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from scipy.sparse import csr_matrix

from models.card import read_card
from models.choice import fit_choice
from models.columns import seconds
from models.export import ServedRanking, call
from models.features import Axes
from models.raw import in_batches, raw_item, raw_query
from models.shards import Arrays

CANDIDATES = 200
BATCH = 64  # requests at once before the ranking model


@dataclass(frozen=True)
class Lists:
    """What retrieval answers to requests, best first.

    Attributes:
        ids: object `[n, k]`, '' where candidates ran out.
        scores: float32 `[n, k]`, 0 there.
    """

    ids: np.ndarray
    scores: np.ndarray


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
    """A retrieval SavedModel that scores all items, whose statistics are those of a table.

    Args:
        saved_model: its folder.
        items: the candidates.
    """

    def __init__(self, saved_model: Path, items: pa.Table) -> None:
        self.signatures = tf.saved_model.load(str(saved_model)).signatures
        self.axes = Axes(**read_card(saved_model)["axes"])
        batches = in_batches(raw_item(items), 8192)
        self.index = np.concatenate([call(self.signatures["embed_item"], b)["embedding"] for b in batches])

    def __call__(self, chunk: pa.Table) -> np.ndarray:
        """The score of each item for each row of a training set's table, `[n, items]`."""
        return call(self.signatures["embed_query"], raw_query(chunk, self.axes))["embedding"] @ self.index.T


def best(scores: np.ndarray, ids: np.ndarray, k: int) -> Lists:
    """The `k` best items of each row of `scores` `[n, items]`; minus infinity is no candidate."""
    k = min(k, scores.shape[1])
    top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    values = np.take_along_axis(scores, top, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    top, values = np.take_along_axis(top, order, axis=1), np.take_along_axis(values, order, axis=1)
    found = np.isfinite(values)
    return Lists(np.where(found, ids[top], ""), np.where(found, values, 0.0).astype(np.float32))


def candidate_lists(
    saved_model: Path, table: pa.Table, items: pa.Table, filter_seen: bool, earlier: pa.Table | None = None
) -> Lists:
    """Retrieval's 200 best for each row of a table, by an exact search.

    Args:
        saved_model: of retrieval.
        table: rows of a training set.
        items: the candidates.
        filter_seen: whether what a listener has had is no candidate: what is in the row's history, and
        earlier: what came before all rows, `user_id` and `item_id`, since a history holds the last 50 alone.
    """
    score = Scorer(saved_model, items)
    ids = np.asarray(items["item_id"].to_pylist(), object)
    had = pairs(table, items, earlier) if filter_seen and earlier is not None else None
    parts = []
    for start in range(0, table.num_rows, 1000):
        chunk = table.slice(start, 1000)
        allowed = released_unseen(chunk, items, filter_seen)
        if had is not None:
            allowed[had[start : start + 1000].nonzero()] = False
        parts.append(best(np.where(allowed, score(chunk), -np.inf), ids, CANDIDATES))
    return Lists(np.concatenate([p.ids for p in parts]), np.concatenate([p.scores for p in parts]))


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


def fit_choice_head(served: ServedRanking, table: pa.Table, lists: Lists, seed: int) -> dict:
    """Fit the choice head of a ranking model to what was chosen among retrieval's candidates.

    Args:
        served: the model with the catalogue as of the span's start.
        table: positives in order of time, later than what retrieval was trained on.
        lists: its candidates; rows whose item is not among them say nothing.
        seed: of the fit.

    Returns:
        What `models.choice.fit_choice` does.
    """
    chosen = lists.ids == np.asarray(table["item_id"].to_pylist(), object)[:, None]
    rows = np.flatnonzero(chosen.any(axis=1))
    kept, ids = table.take(pa.array(rows)), lists.ids[rows]
    inputs = raw_query(kept, served.model.encoder.axes) | {"candidate_ids": ids, "retrieval_scores": lists.scores[rows]}
    describe = tf.function(lambda batch: served.describe(**batch)[1], reduce_retracing=True)
    parts = [describe(tensors(batch)).numpy() for batch in in_batches(inputs, BATCH)] if len(rows) else []
    figures = np.concatenate(parts) if parts else np.zeros((0, 1, 1), np.float32)
    return fit_choice(served.model.choice, figures, ids != "", chosen[rows].argmax(axis=1), seed)


def rank_lists(saved_model: Path, table: pa.Table, lists: Lists) -> Arrays:
    """What a ranking SavedModel answers to retrieval's candidates, each output `[n, k]`."""
    signature = tf.saved_model.load(str(saved_model)).signatures["serving_default"]
    inputs = raw_query(table, Axes(**read_card(saved_model)["axes"]))
    inputs |= {"candidate_ids": lists.ids, "retrieval_scores": lists.scores}
    parts = [call(signature, batch) for batch in in_batches(inputs, BATCH)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def tensors(arrays: Arrays) -> dict[str, tf.Tensor]:
    """Arrays as tensors; strings come as object arrays."""
    return {name: tf.constant(values) for name, values in arrays.items()}

"""Segue's own models as contestants: trained by the pipeline's workloads and called through their SavedModels."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from benchmarks.retrieval.figures import Contestant, Scores, top_items
from models.inputs.raw_query import raw_query
from models.ranking.two_stage import Scorer
from models.saved.card import load_axes
from models.saved.saved_model import call
from models.training_config import TrainingConfig
from segue.candidates import RETRIEVAL_CANDIDATES, fill_missing
from workloads.training.train_ranking import train_ranking
from workloads.training.train_retrieval import train_retrieval

EMBED_ROWS, RANK_ROWS = 1024, 64  # rows of one call to retrieval and to ranking
TWO_STAGE, RETRIEVAL = "segue", "segue_retrieval"
MODELS = (TWO_STAGE, RETRIEVAL)


class Embedded:
    """Retrieval's scores of every request, computed from the embeddings of its SavedModel.

    Args:
        saved_model: folder of the retrieval model.
        queries: rows of a training set.
        request: the request of each row, ascending, int `[rows]`; the embeddings of one request's rows are averaged.
        items: the catalogue with its statistics, in the order of the benchmark's item numbers.
    """

    def __init__(self, saved_model: Path, queries: pa.Table, request: np.ndarray, items: pa.Table) -> None:
        scorer = Scorer(saved_model, items)
        self.index = scorer.index  # [items, dim + 1]
        parts = [scorer.embed(queries.slice(at, EMBED_ROWS)) for at in range(0, queries.num_rows, EMBED_ROWS)]
        self.queries = mean_by(request, np.concatenate(parts))

    def score(self, rows: slice, allowed: np.ndarray) -> np.ndarray:
        """Score every item for the requests `rows`, float32 `[b, items]`."""
        return self.queries[rows] @ self.index.T


class TwoStage:
    """Retrieval's best 200 candidates ordered by ranking's `choice`, then the other items in retrieval's order.

    Args:
        saved_model: folder of the ranking model.
        retrieval: the first stage.
        queries: rows of a training set.
        request: the request of each row, as `Embedded` takes it.
        item_ids: ids of the items by number.
    """

    def __init__(
        self, saved_model: Path, retrieval: Embedded, queries: pa.Table, request: np.ndarray, item_ids: np.ndarray
    ) -> None:
        self.model = tf.saved_model.load(str(saved_model))
        self.axes = load_axes(saved_model)
        self.retrieval, self.queries, self.request, self.item_ids = retrieval, queries, request, item_ids

    def score(self, rows: slice, allowed: np.ndarray) -> np.ndarray:
        """Score every item for the requests `rows`, float32 `[b, items]`; only their order has a meaning."""
        retrieval_scores = self.retrieval.score(rows, allowed)
        masked = np.where(allowed, retrieval_scores, -np.inf)
        top = top_items(masked, RETRIEVAL_CANDIDATES)  # [b, 200], -1 where candidates ran out
        present = top >= 0
        scores = fill_missing(np.where(present, np.take_along_axis(masked, np.maximum(top, 0), axis=1), -np.inf))
        ids = np.where(present, self.item_ids[np.maximum(top, 0)], "").astype(object)
        choice = np.where(present, self.choices(rows, ids, scores), -np.inf)  # [b, 200]
        return ranked_first(retrieval_scores, top, choice)

    def choices(self, rows: slice, ids: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Ranking's `choice` of some requests' candidates, averaged over the rows of each request, `[b, n]`.

        Args:
            rows: the requests.
            ids: ids of their candidates, '' where there is none, `[b, n]`.
            scores: retrieval's scores of the candidates, `[b, n]`.
        """
        own = slice(*np.searchsorted(self.request, [rows.start, rows.stop]))
        place = self.request[own] - rows.start  # row of `ids` that each query row belongs to
        answers = []
        for at in range(0, len(place), RANK_ROWS):
            here = place[at : at + RANK_ROWS]
            inputs = raw_query(self.queries.slice(own.start + at, len(here)), self.axes)
            inputs |= {"candidate_ids": ids[here], "retrieval_scores": scores[here]}
            inputs["sequence_scores"] = np.zeros_like(scores[here])  # this benchmark has no sequence model
            answers.append(call(self.model.signatures["serving_default"], inputs)["choice"])
        return mean_by(place, np.concatenate(answers))


def ranked_first(scores: np.ndarray, top: np.ndarray, choice: np.ndarray) -> np.ndarray:
    """Raise the scores of the ranked candidates, so that they come before all other items in ranking's order.

    Args:
        scores: scores of every item, `[b, items]`.
        top: the ranked candidates, `[b, k]`; -1 stands for no candidate.
        choice: the candidates' scores by ranking, minus infinity where there is no candidate, `[b, k]`.
    """
    out = scores.copy()
    rank = np.argsort(np.argsort(-choice, axis=1, kind="stable"), axis=1)  # 0 is the best
    bonus = scores.max(axis=1, keepdims=True) + (top.shape[1] - rank)
    rows, places = np.nonzero(top >= 0)
    out[rows, top[rows, places]] = bonus[rows, places]
    return out


def mean_by(group: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean of the rows of each group, `[groups, width]`.

    Args:
        group: the group of each row, ascending from 0 without gaps, int `[rows]`.
        values: the rows, `[rows, width]`.
    """
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    return np.add.reduceat(values, starts, axis=0) / np.diff([*starts, len(group)])[:, None].astype(values.dtype)


def train(
    training_set: Path,
    queries: pa.Table,
    request: np.ndarray,
    names: tuple[str, ...],
    seed: int,
    out: Path,
) -> Iterator[tuple[str, Contestant]]:
    """Train retrieval and, if the two stages are requested, ranking, with the default configuration.

    Args:
        training_set: folder of the training set; the models serve the catalogue of its `items_now`.
        queries: rows of a training set from which the test requests are read.
        request: the request of each row, ascending, int `[rows]`.
        names: the requested contestants, some of `MODELS`.
        seed: seed of both trainings.
        out: an existing folder for the SavedModels.

    Yields:
        The name and the contestant; `train_seconds` of the two stages is the sum over both models.
    """
    items = pq.read_table(training_set / "items_now.parquet")
    config = TrainingConfig(seed=seed)
    first = timed(lambda: train_retrieval(training_set, "benchmark", config, out / "retrieval"))
    retrieval = Embedded(out / "retrieval", queries, request, items)
    if RETRIEVAL in names:
        yield RETRIEVAL, contestant(retrieval.score, [first])
    if TWO_STAGE in names:
        sources = {"retrieval": out / "retrieval"}
        second = timed(lambda: train_ranking(training_set, sources, "benchmark", config, out / "ranking"))
        ids = np.asarray(items["item_id"].to_pylist())
        two_stage = TwoStage(out / "ranking", retrieval, queries, request, ids)
        yield TWO_STAGE, contestant(two_stage.score, [first, second])


def timed(train: Callable[[], dict]) -> tuple[dict, float]:
    """Run a training; its result and its seconds. The training's output goes to stderr, as progress does."""
    started = perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        result = train()
    return result, perf_counter() - started


def contestant(scores: Scores, trainings: list[tuple[dict, float]]) -> Contestant:
    """A contestant whose throughput is the mean over all epochs, each training taken at its median speed."""
    speeds = [float(np.median(result["examples_per_second"])) for result, _ in trainings]
    epochs = [len(result["loss"]) for result, _ in trainings]
    # Every epoch of every training reads the same examples, so their number cancels out.
    speed = sum(epochs) / sum(n / v for n, v in zip(epochs, speeds, strict=True))
    return Contestant(scores, sum(took for _, took in trainings), speed, {"epochs": epochs})

"""Segue's own models as contestants: trained by the pipeline's workloads, asked through the signatures that serve."""

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
from models.evaluation.held_out import load_axes
from models.inputs.raw_query import raw_query
from models.ranking.two_stage import Scorer
from models.saved.saved_model import call
from models.training_config import TrainingConfig
from segue.candidates import RETRIEVAL_CANDIDATES, fill_missing
from workloads.training.train_ranking import train_ranking
from workloads.training.train_retrieval import train_retrieval

EMBEDDED, RANKED = 1024, 64  # requests of a call
TWO_STAGE, RETRIEVAL = "segue", "segue_retrieval"
MODELS = (TWO_STAGE, RETRIEVAL)


class Embedded:
    """Retrieval's scores of every request, from the embeddings that its SavedModel gives.

    Args:
        saved_model: of retrieval.
        queries: rows of a training set.
        request: the request of each row, ascending, int `[rows]`; the queries of one request are averaged.
        items: the catalogue with its statistics, the benchmark's items in their order.
    """

    def __init__(self, saved_model: Path, queries: pa.Table, request: np.ndarray, items: pa.Table) -> None:
        scorer = Scorer(saved_model, items)
        self.index = scorer.index  # [items, dim + 1]
        parts = [scorer.embed(queries.slice(at, EMBEDDED)) for at in range(0, queries.num_rows, EMBEDDED)]
        self.queries = mean_by(request, np.concatenate(parts))

    def score(self, rows: slice, allowed: np.ndarray) -> np.ndarray:
        """Scores of some requests, float32 `[b, items]`."""
        return self.queries[rows] @ self.index.T


class Ranked:
    """Retrieval's best 200 candidates in the order in which ranking would have them chosen, then the others.

    Args:
        saved_model: of ranking.
        retrieval: the first stage.
        queries: rows of a training set.
        request: the request of each row, as `Embedded` takes it.
        item_ids: the items by number.
    """

    def __init__(
        self, saved_model: Path, retrieval: Embedded, queries: pa.Table, request: np.ndarray, item_ids: np.ndarray
    ) -> None:
        self.model = tf.saved_model.load(str(saved_model))
        self.axes = load_axes(saved_model)
        self.retrieval, self.queries, self.request, self.item_ids = retrieval, queries, request, item_ids

    def score(self, rows: slice, allowed: np.ndarray) -> np.ndarray:
        """Scores of some requests, float32 `[b, items]`: only their order means anything."""
        first = self.retrieval.score(rows, allowed)
        masked = np.where(allowed, first, -np.inf)
        top = top_items(masked, RETRIEVAL_CANDIDATES)  # [b, 200], -1 where candidates ran out
        known = top >= 0
        scores = fill_missing(np.where(known, np.take_along_axis(masked, np.maximum(top, 0), axis=1), -np.inf))
        ids = np.where(known, self.item_ids[np.maximum(top, 0)], "").astype(object)
        choice = np.where(known, self.choices(rows, ids, scores), -np.inf)  # [b, 200]
        return ahead(first, top, choice)

    def choices(self, rows: slice, ids: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """`choice` of some requests' candidates `[b, n]`, averaged over the rows of a request."""
        own = slice(*np.searchsorted(self.request, [rows.start, rows.stop]))
        place = self.request[own] - rows.start  # of each row among the asked requests
        answers = []
        for at in range(0, len(place), RANKED):
            here = place[at : at + RANKED]
            inputs = raw_query(self.queries.slice(own.start + at, len(here)), self.axes)
            inputs |= {"candidate_ids": ids[here], "retrieval_scores": scores[here]}
            inputs["sequence_scores"] = np.zeros_like(scores[here])  # the sequence model takes no part here
            answers.append(call(self.model.signatures["serving_default"], inputs)["choice"])
        return mean_by(place, np.concatenate(answers))


def ahead(scores: np.ndarray, top: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Scores that put some items before all others.

    Args:
        scores: of every item, `[b, items]`.
        top: the items that come first, `[b, k]`; -1 is none.
        order: how they are ordered, the highest first; minus infinity where there is none, `[b, k]`.
    """
    out = scores.copy()
    rank = np.argsort(np.argsort(-order, axis=1, kind="stable"), axis=1)  # 0 the best
    bonus = scores.max(axis=1, keepdims=True) + (top.shape[1] - rank)
    rows, places = np.nonzero(top >= 0)
    out[rows, top[rows, places]] = bonus[rows, places]
    return out


def mean_by(group: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean of the rows of each group; groups are ascending from 0 without a gap: `[groups, width]`."""
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
    """Train retrieval and, for the two stages, ranking, with the default configuration.

    Args:
        training_set: its folder; the models serve the catalogue of `items_now`.
        queries: what will be asked, rows of a training set.
        request: the request of each row, ascending, int `[rows]`.
        names: which of `MODELS`.
        seed: of both trainings.
        out: an existing folder for the SavedModels.

    Yields:
        Each contestant; `train_seconds` of the two stages are those of both models.
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
        ranked = Ranked(out / "ranking", retrieval, queries, request, ids)
        yield TWO_STAGE, contestant(ranked.score, [first, second])


def timed(train: Callable[[], dict]) -> tuple[dict, float]:
    """What a training returned, and its seconds; what it prints goes to where progress goes."""
    started = perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        found = train()
    return found, perf_counter() - started


def contestant(scores: Scores, trainings: list[tuple[dict, float]]) -> Contestant:
    """A contestant with the throughput of all its steps: examples over the seconds of each training's median epoch."""
    speeds = [float(np.median(found["examples_per_second"])) for found, _ in trainings]
    epochs = [len(found["loss"]) for found, _ in trainings]
    # Each training sees the same examples as often as it has epochs.
    speed = sum(epochs) / sum(n / v for n, v in zip(epochs, speeds, strict=True))
    return Contestant(scores, sum(took for _, took in trainings), speed, {"epochs": epochs})

"""Figures of one contestant on one set of requests: ranks of what followed, the lists, and intervals over listeners."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.retrieval.data import Task
from models.evaluation.list_metrics import (
    average_precision,
    coverage,
    genre_calibration,
    intra_list_diversity,
    ndcg,
    novelty,
    popularity_bias,
    precision,
    recall,
    relevance,
)
from models.evaluation.list_metrics import reciprocal_rank as first_hit
from models.evaluation.metrics import bootstrap_mean, ndcg_at, rank_of_target, recall_at, reciprocal_rank

BLOCK = 500  # requests, and targets, that are held with a score of every item
TOP = 20  # items of a list that count for coverage

# Scores of some requests `[b, items]`; what is no candidate of a request `[b, items]` is False in the second argument.
Scores = Callable[[slice, np.ndarray], np.ndarray]
Figure = dict[str, float]


@dataclass(frozen=True, eq=False)
class Contestant:
    """A trained model.

    Args:
        scores: how well each item suits each request.
        train_seconds: from the examples to a model that answers.
        examples_per_second: of the training steps.
        extra: further figures of this model alone.
    """

    scores: Scores
    train_seconds: float
    examples_per_second: float
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Ranked:
    """What a model answered.

    Args:
        rank: the place of each target, 0 the best, infinite if it was no candidate, `[m]`.
        top: the list of each request, int `[n, 20]`; -1 where candidates ran out.
    """

    rank: np.ndarray
    top: np.ndarray


def answer(scores: Scores, task: Task) -> Ranked:
    """Ask a model all requests of a task."""
    ranks, tops = [], []
    for start in range(0, len(task.user), BLOCK):
        rows = slice(start, min(start + BLOCK, len(task.user)))
        allowed = task.allowed(rows)
        masked = np.where(allowed, scores(rows, allowed), -np.inf)
        tops.append(top_items(masked, TOP))
        first, end = np.searchsorted(task.row, [rows.start, rows.stop])
        for place in range(first, end, BLOCK):
            pairs = slice(place, min(place + BLOCK, end))
            ranks.append(rank_of_target(masked[task.row[pairs] - start], task.item[pairs]))
    return Ranked(np.concatenate(ranks), np.concatenate(tops))


def top_items(masked: np.ndarray, k: int) -> np.ndarray:
    """The best `k` items of each row, the best first; -1 where fewer are candidates: int `[n, min(k, items)]`."""
    kept = min(k, masked.shape[1])
    best = np.sort(np.argpartition(-masked, kept - 1, axis=1)[:, :kept], axis=1)
    order = np.argsort(-np.take_along_axis(masked, best, axis=1), axis=1, kind="stable")
    best = np.take_along_axis(best, order, axis=1)
    return np.where(np.take_along_axis(masked, best, axis=1) > -np.inf, best, -1)


def interval(values: np.ndarray, listeners: np.ndarray, seed: int) -> Figure:
    """`mean`, `low`, `high`: a mean with its 95 % interval, listeners being drawn."""
    return asdict(bootstrap_mean(values, listeners, seed))


def of_targets(ranked: Ranked, task: Task, seed: int) -> dict[str, Any]:
    """Each target is alone: `recall@20`, `recall@100`, `ndcg@10`, `mrr`."""
    listeners = task.user[task.row]
    values = {
        "recall@20": recall_at(ranked.rank, 20),
        "recall@100": recall_at(ranked.rank, 100),
        "ndcg@10": ndcg_at(ranked.rank, 10),
        "mrr": reciprocal_rank(ranked.rank),
    }
    return {name: interval(value, listeners, seed) for name, value in values.items()}


def of_lists(ranked: Ranked, task: Task, seed: int) -> dict[str, Any]:
    """A listener's targets together, recall being the share that is in the list: besides, k=10 and precision, MAP."""
    items = task.history.shape[1]
    relevant = np.bincount(task.row, minlength=len(task.user))
    truth = csr_matrix((np.ones(len(task.row)), (task.row, task.item)), shape=(len(task.user), items))
    hits = relevance(ranked.top, truth)[:, :10]
    of_ten = {"recall": recall, "ndcg": ndcg, "precision": precision, "map": average_precision}
    values = {f"{name}@10": metric(hits, relevant) for name, metric in of_ten.items()}
    values["mrr"] = first_hit(hits, relevant)
    for k in (20, 100):
        values[f"recall@{k}"] = np.bincount(task.row, recall_at(ranked.rank, k), len(task.user)) / relevant
    return {name: interval(value, task.user, seed) for name, value in values.items()}


def of_tops(top: np.ndarray, task: Task, counts: np.ndarray, genres: np.ndarray) -> dict[str, float | None]:
    """What the lists of 20 are like, whatever was played: see `models.evaluation.list_metrics`.

    Args:
        top: the lists, `[n, k]`.
        task: whose requests they answer.
        counts: interactions of each item in the log that the models know, `[items]`.
        genres: weight of each genre in each item, `[items, genres]`.
    """
    found = {
        "coverage": coverage(top, len(counts)),
        "novelty": np.nanmean(novelty(top, counts)),
        "intra_list_diversity": np.nanmean(intra_list_diversity(top, genres)),
        "popularity_bias": popularity_bias(top, task.history, counts),
        "genre_calibration": np.nanmean(genre_calibration(top, task.history, genres)),
    }
    return {name: float(value) if np.isfinite(value) else None for name, value in found.items()}


def random_recall(task: Task, kept: np.ndarray, k: int) -> float:
    """Expected recall@k of a random list over the candidates, for the targets `kept` `[m]` (bool)."""
    chances = np.zeros(len(task.row))
    for start in range(0, len(task.user), BLOCK):
        rows = slice(start, min(start + BLOCK, len(task.user)))
        allowed = task.allowed(rows)
        first, end = np.searchsorted(task.row, [rows.start, rows.stop])
        row = task.row[first:end] - start
        reachable = allowed[row, task.item[first:end]]
        chances[first:end] = reachable * np.minimum(1.0, k / np.maximum(allowed.sum(axis=1)[row], 1))
    return float(chances[kept].mean())

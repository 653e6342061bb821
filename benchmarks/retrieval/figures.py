"""Figures of one contestant on one task: ranks of the targets, properties of the lists, and 95 % intervals."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.retrieval.data import Task
from models.evaluation import list_metrics, metrics
from models.evaluation.metrics import bootstrap_mean, ndcg_at, rank_of_target, recall_at

BLOCK = 500  # requests (and targets) whose scores of every item are in memory at once
TOP = 20  # length of a list

# Scores of a slice of the requests, `[b, items]`; the second argument is `Task.allowed` of the slice.
Scores = Callable[[slice, np.ndarray], np.ndarray]
Figure = dict[str, float]


@dataclass(frozen=True, eq=False)
class Contestant:
    """A trained model.

    Args:
        scores: scores of every item for a slice of the requests.
        train_seconds: seconds from the examples to a model that can score.
        examples_per_second: throughput of the training steps.
        extra: further figures that only this model has.
    """

    scores: Scores
    train_seconds: float
    examples_per_second: float
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Ranked:
    """A model's answers to a task.

    Args:
        rank: rank of each target, 0 for the best, infinite if the target is not a candidate, `[m]`.
        top: the list of each request, int `[n, 20]`; -1 where candidates ran out.
    """

    rank: np.ndarray
    top: np.ndarray


def answer(scores: Scores, task: Task) -> Ranked:
    """Rank the targets and make the lists of a task's requests by a model's scores."""
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
    """The best `k` items of each row, the best first and ties by item number, int `[n, min(k, items)]`.

    Args:
        masked: scores of every item, minus infinity for items that are not candidates, `[n, items]`.
        k: most items of a row; -1 fills a row that has fewer candidates.
    """
    length = min(k, masked.shape[1])
    best = np.sort(np.argpartition(-masked, length - 1, axis=1)[:, :length], axis=1)
    order = np.argsort(-np.take_along_axis(masked, best, axis=1), axis=1, kind="stable")
    best = np.take_along_axis(best, order, axis=1)
    return np.where(np.take_along_axis(masked, best, axis=1) > -np.inf, best, -1)


def interval(values: np.ndarray, listeners: np.ndarray, seed: int) -> Figure:
    """`mean`, `low` and `high`: a mean with its 95 % interval from a bootstrap over listeners."""
    return asdict(bootstrap_mean(values, listeners, seed))


def of_targets(ranked: Ranked, task: Task, seed: int) -> dict[str, Any]:
    """`recall@20`, `recall@100`, `ndcg@10` and `mrr`, where each target counts by itself."""
    listeners = task.user[task.row]
    values = {
        "recall@20": recall_at(ranked.rank, 20),
        "recall@100": recall_at(ranked.rank, 100),
        "ndcg@10": ndcg_at(ranked.rank, 10),
        "mrr": metrics.reciprocal_rank(ranked.rank),
    }
    return {name: interval(value, listeners, seed) for name, value in values.items()}


def of_lists(ranked: Ranked, task: Task, seed: int) -> dict[str, Any]:
    """Figures where a listener's targets count together, so that recall is the share of them in the list.

    These are `recall@10`, `recall@20`, `recall@100`, `ndcg@10`, `precision@10`, `map@10` and `mrr`.
    """
    items = task.history.shape[1]
    relevant = np.bincount(task.row, minlength=len(task.user))
    truth = csr_matrix((np.ones(len(task.row)), (task.row, task.item)), shape=(len(task.user), items))
    hits = list_metrics.relevance(ranked.top, truth)[:, :10]
    metrics_at_10 = {
        "recall": list_metrics.recall,
        "ndcg": list_metrics.ndcg,
        "precision": list_metrics.precision,
        "map": list_metrics.average_precision,
    }
    values = {f"{name}@10": metric(hits, relevant) for name, metric in metrics_at_10.items()}
    values["mrr"] = list_metrics.reciprocal_rank(hits, relevant)
    for k in (20, 100):
        values[f"recall@{k}"] = np.bincount(task.row, recall_at(ranked.rank, k), len(task.user)) / relevant
    return {name: interval(value, task.user, seed) for name, value in values.items()}


def of_tops(top: np.ndarray, task: Task, counts: np.ndarray, genres: np.ndarray) -> dict[str, float | None]:
    """Properties of the lists of 20 that do not depend on the targets (see `models.evaluation.list_metrics`).

    Args:
        top: the lists, `[n, k]`.
        task: the task whose requests the lists answer.
        counts: number of interactions of each item in the log that the models learn from, `[items]`.
        genres: weight of each genre in each item, `[items, genres]`.
    """
    values = {
        "coverage": list_metrics.coverage(top, len(counts)),
        "novelty": np.nanmean(list_metrics.novelty(top, counts)),
        "intra_list_diversity": np.nanmean(list_metrics.intra_list_diversity(top, genres)),
        "popularity_bias": list_metrics.popularity_bias(top, task.history, counts),
        "genre_calibration": np.nanmean(list_metrics.genre_calibration(top, task.history, genres)),
    }
    return {name: float(value) if np.isfinite(value) else None for name, value in values.items()}


def random_recall(task: Task, kept: np.ndarray, k: int) -> float:
    """Expected recall@k of a random list of the candidates.

    Args:
        task: the requests and their targets.
        kept: the targets that count, bool `[m]`.
        k: length of the list.
    """
    chances = np.zeros(len(task.row))
    for start in range(0, len(task.user), BLOCK):
        rows = slice(start, min(start + BLOCK, len(task.user)))
        allowed = task.allowed(rows)
        first, end = np.searchsorted(task.row, [rows.start, rows.stop])
        row = task.row[first:end] - start
        reachable = allowed[row, task.item[first:end]]
        chances[first:end] = reachable * np.minimum(1.0, k / np.maximum(allowed.sum(axis=1)[row], 1))
    return float(chances[kept].mean())

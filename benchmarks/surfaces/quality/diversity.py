"""Diversity of a shelf by MMR and by a determinantal point process, and the time that a page takes to compose."""

import time
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from benchmarks.results import target
from benchmarks.surfaces.quality.served_pages import Served
from surfaces.home.compose import compose_home
from surfaces.home.layout import LayoutPolicy
from surfaces.home.pool import Pool
from surfaces.home.rules import HomeRules
from surfaces.home.shelves import build_shelves
from surfaces.home.surface import found, home_context, pool_of

MOST_MS = 5.0
SHELF = "for_you"  # what retrieval found, of which 10 items are chosen
WEIGHTS = {"mmr": (0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0), "dpp": (0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2)}


def run(served: Sequence[Served]) -> dict[str, Any]:
    """Choose shelves by both methods, and time the composition of pages.

    Args:
        served: candidates and scores of requests for Home.

    Returns:
        By method and weight the mean `distance` between two items of a shelf (1 - cosine), the `reward_loss` and the
        `ms` a shelf; `compose_ms`: median and 95th percentile of the processor time of a page; `targets`.
    """
    rules = HomeRules()
    shelves, times = [], []
    for number, one in enumerate(served):
        context, pool = (
            home_context(one.answer.context),
            pool_of(one.answer.context, one.answer.candidates, one.answer.scores),
        )
        offered = build_shelves(found(one.answer.context, one.answer.candidates), pool, context, rules)
        shelves += [(pool, shelf.items) for shelf in offered if shelf.id == SHELF]
        started = time.process_time()
        compose_home(context, pool, offered, LayoutPolicy(), rules, number)
        times.append((time.process_time() - started) * 1000)
    median = float(np.median(times))
    return {
        **{
            method.__name__: {
                str(weight): shelf_figures(shelves, method, weight) for weight in WEIGHTS[method.__name__]
            }
            for method in (mmr, dpp)
        },
        "compose_ms": {"median": median, "p95": float(np.quantile(times, 0.95))},
        "targets": {"compose_ms": target(median, at_most=MOST_MS)},
    }


Method = Callable[[np.ndarray, np.ndarray, float, int], list[int]]


def shelf_figures(shelves: Sequence[tuple[Pool, np.ndarray]], method: Method, weight: float) -> dict[str, float]:
    """The mean distance between the items of a shelf, its loss of reward, and the milliseconds that it takes.

    Args:
        shelves: a pool and the rows of it that may stand on the shelf, of each request.
        method: chooses the items.
        weight: of the method.
    """
    apart, rewards, best, spent = [], [], [], 0.0
    for pool, items in shelves:
        reward, relevance, directions = (column[items] for column in (pool.reward, pool.relevance, pool.directions))
        started = time.process_time()
        chosen = method(relevance, directions, weight, 10)
        spent += time.process_time() - started
        apart.append(np.mean([1 - directions[i] @ directions[j] for i, j in combinations(chosen, 2)]))
        rewards.append(reward[chosen].mean())
        best.append(np.sort(reward)[-10:].mean())
    loss = 1 - float(np.mean(rewards) / np.mean(best))
    return {"distance": float(np.mean(apart)), "reward_loss": loss, "ms": spent / len(shelves) * 1000}


def mmr(relevance: np.ndarray, directions: np.ndarray, weight: float, k: int) -> list[int]:
    """Maximal marginal relevance, as a shelf of Home is filled (Carbonell and Goldstein, SIGIR 1998).

    Args:
        relevance: `[n]`.
        directions: vectors of length 1, `[n, d]`.
        weight: what an item loses that is the same as one before.
        k: how many to choose.
    """
    value, likeness = relevance.copy(), np.zeros(len(relevance))
    chosen: list[int] = []
    for _ in range(k):
        chosen.append(int((value - weight * likeness).argmax()))
        value[chosen[-1]] = -np.inf
        np.maximum(likeness, directions @ directions[chosen[-1]], out=likeness)
    return chosen


def dpp(relevance: np.ndarray, directions: np.ndarray, weight: float, k: int) -> list[int]:
    """The greedy most likely set of a determinantal point process (Chen, Zhang and Zhou, NeurIPS 2018).

    Args:
        relevance: `[n]`; the quality of an item is exp(relevance / (2 weight)).
        directions: as `mmr`.
        weight: the larger, the more diversity counts.
        k: as `mmr`.
    """
    quality = np.exp((relevance - relevance.max()) / (2 * weight))
    left = quality**2 * (1 + 1e-6)  # squared length of each item's part that the chosen ones do not span
    parts = np.zeros((k, len(relevance)))
    chosen: list[int] = []
    for step in range(k):
        chosen.append(best := int(left.argmax()))
        row = quality * quality[best] * (directions @ directions[best]) - parts[:step].T @ parts[:step, best]
        parts[step] = row / np.sqrt(left[best])
        left -= parts[step] ** 2
        left[best] = -np.inf
    return chosen

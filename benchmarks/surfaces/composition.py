"""What a Home page gains and loses by calibration and diversity, and what it costs to compose, without models."""

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np

from benchmarks.results import target
from benchmarks.surfaces.home_requests import TYPES, HomeRequest, home_request
from surfaces.home.calibration import distance
from surfaces.home.compose import compose_home
from surfaces.home.layout import LayoutPolicy
from surfaces.home.page import Page
from surfaces.home.rules import HomeRules

MOST_KL, MOST_LOSS, MOST_MS = 0.5, 0.01, 5.0
SHELF = "for_you"  # 200 candidates, of which 10 are chosen
WEIGHTS = {"mmr": (0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0), "dpp": (0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2)}


def run(requests: int = 200, seed: int = 0) -> dict:
    """Compose pages with and without calibration and diversity, and choose shelves by MMR and by a DPP.

    Args:
        requests: their number.
        seed: of the requests.

    Returns:
        `requests`; `calibration`: the mean distance (KL, nats) and mean reward of a page `without` and `with` it, their
        `kl_ratio` and `reward_loss`; `diversity`: by method and weight the mean `distance` between two items of a shelf
        (1 - cosine), the `reward_loss` and the `ms` a shelf; `compose_ms`: median and 95th percentile of the processor
        time of a page with seven shelves over 400 items; `targets`.
    """
    made = [home_request(seed * requests + number) for number in range(requests)]
    rules = HomeRules()
    calibrated, times = measured(made, rules)
    plain, _ = measured(made, replace(rules, calibration=0.0))
    kl_ratio, loss = calibrated["kl"] / plain["kl"], 1 - calibrated["reward"] / plain["reward"]
    median = float(np.median(times))
    return {
        "requests": requests,
        "calibration": {"with": calibrated, "without": plain, "kl_ratio": kl_ratio, "reward_loss": loss},
        "diversity": {
            method.__name__: {str(weight): shelf_figures(made, method, weight) for weight in WEIGHTS[method.__name__]}
            for method in (mmr, dpp)
        },
        "compose_ms": {"median": median, "p95": float(np.quantile(times, 0.95))},
        "targets": {
            "kl_ratio": target(kl_ratio, at_most=MOST_KL),
            "reward_loss": target(loss, at_most=MOST_LOSS),
            "compose_ms": target(median, at_most=MOST_MS),
        },
    }


def measured(made: list[HomeRequest], rules: HomeRules) -> tuple[dict[str, float], list[float]]:
    """Mean distance from the mix and mean reward of the pages under some rules, and the milliseconds of each page."""
    kl, reward, times = [], [], []
    for seed, request in enumerate(made):
        started = time.process_time()
        page = compose_home(request.context, request.pool, request.shelves, LayoutPolicy(), rules, seed)
        times.append((time.process_time() - started) * 1000)
        kl.append(page_distance(page, request))
        reward.append(request.pool.reward[[item.index for item in page.items]].mean())
    return {"kl": float(np.mean(kl)), "reward": float(np.mean(reward))}, times


def page_distance(page: Page, request: HomeRequest) -> float:
    """The distance of a page's mix of content types from the one that fits, in nats."""
    types = request.pool.content_type[[item.index for item in page.items]]
    mix = np.array([request.context.content_mix[name] for name in TYPES.tolist()])
    return float(distance(mix, (types[:, None] == TYPES).sum(axis=0)))


Method = Callable[[np.ndarray, np.ndarray, float, int], list[int]]


def shelf_figures(made: list[HomeRequest], method: Method, weight: float) -> dict[str, float]:
    """The mean distance between the items of a shelf, its loss of reward, and the milliseconds that it takes."""
    apart, rewards, best, spent = [], [], [], 0.0
    for request in made:
        items = next(shelf.items for shelf in request.shelves if shelf.id == SHELF)
        reward, relevance, directions = (
            column[items] for column in (request.pool.reward, request.pool.relevance, request.pool.directions)
        )
        started = time.process_time()
        chosen = method(relevance, directions, weight, 10)
        spent += time.process_time() - started
        apart.append(np.mean([1 - directions[i] @ directions[j] for i, j in combinations(chosen, 2)]))
        rewards.append(reward[chosen].mean())
        best.append(np.sort(reward)[-10:].mean())
    loss = 1 - float(np.mean(rewards) / np.mean(best))
    return {"distance": float(np.mean(apart)), "reward_loss": loss, "ms": spent / len(made) * 1000}


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

"""The baselines as contestants: regularization is chosen on validation, the final fit is on train and validation."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.retrieval.data import Log, Task
from benchmarks.retrieval.figures import Contestant, Scores, answer
from models.evaluation.baselines import ALS, EASE, MAX_DENSE_ITEMS, Baseline, ItemKNN, Popularity
from models.evaluation.metrics import ndcg_at

GRIDS = {"ease": (50.0, 200.0, 800.0), "als": (1.0, 3.0, 10.0)}  # values of `regularization` to choose from
PEERS = ("popularity", "item_knn", "ease", "als")


class LoggedItemsOnly:
    """A baseline fitted on the items that the log has; all other items score 0, as they do in a fit on the catalogue.

    EASE's time grows with the cube of the number of items, and a large part of a catalogue may not be in the log.

    Args:
        model: a baseline that is not fitted yet.
        log: the positives that it learns from.
    """

    def __init__(self, model: Baseline, log: Log) -> None:
        self.items = np.unique(log.item)
        self.width = log.items
        small = Log(log.user, np.searchsorted(self.items, log.item), log.ts, log.users, len(self.items))
        self.model = model.fit(small.interactions())

    def score(self, histories: csr_matrix, at: np.ndarray) -> np.ndarray:
        """Scores of every item, as `Baseline.score` gives them, float32 `[n, items]`."""
        out = np.zeros((len(at), self.width), np.float32)
        out[:, self.items] = self.model.score(histories[:, self.items], at)
        return out


def build(name: str, seed: int, **settings: float) -> Baseline:
    """Make a baseline by its name."""
    makers: dict[str, Callable[..., Baseline]] = {
        "popularity": Popularity, "item_knn": ItemKNN, "ease": EASE, "als": lambda **own: ALS(seed=seed, **own),
    }  # fmt: skip
    return makers[name](**settings)


def too_wide(name: str, log: Log) -> bool:
    """Whether a log has more items than a peer's dense matrix allows."""
    return name == "ease" and len(np.unique(log.item)) > MAX_DENSE_ITEMS


def scores_of(model: LoggedItemsOnly, task: Task) -> Scores:
    """The scores of a fitted baseline for a task's requests."""
    return lambda rows, _: model.score(task.history[rows], task.ts[rows])


def choose(name: str, train_log: Log, validation: Task, seed: int) -> dict[str, Any]:
    """Choose the `regularization` with the best NDCG@10 on validation.

    Returns:
        `regularization` and, by value, `validation_ndcg@10`; an empty dict for a peer without regularization.
    """
    ndcg = {}
    for value in GRIDS.get(name, ()):
        model = LoggedItemsOnly(build(name, seed, regularization=value), train_log)
        ndcg[value] = float(ndcg_at(answer(scores_of(model, validation), validation).rank, 10).mean())
        del model  # frees EASE's matrix before the next one is made
    if not ndcg:
        return {}
    return {"regularization": max(ndcg, key=lambda value: ndcg[value]), "validation_ndcg@10": ndcg}


def train(name: str, train_log: Log, train_and_validation: Log, validation: Task, test: Task, seed: int) -> Contestant:
    """Choose the regularization on validation, then fit on train and validation.

    Args:
        name: name of the peer.
        train_log: positives for choosing the regularization.
        train_and_validation: positives for the final fit.
        validation: requests of the validation part.
        test: requests that the contestant will answer.
        seed: seed of ALS's initial factors.

    Returns:
        The contestant; `train_seconds` is the time of the final fit alone.
    """
    settings = choose(name, train_log, validation, seed)
    own = {key: value for key, value in settings.items() if key == "regularization"}
    started = perf_counter()
    model = LoggedItemsOnly(build(name, seed, **own), train_and_validation)
    took = perf_counter() - started
    return Contestant(scores_of(model, test), took, len(train_and_validation.user) / took, {"settings": settings})

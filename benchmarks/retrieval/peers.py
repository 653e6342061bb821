"""The baselines as contestants: their regularization chosen on validation, then fitted on all that may be known."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.retrieval.data import Log, Task
from benchmarks.retrieval.figures import Contestant, Scores, answer
from models.evaluation.baselines import ALS, EASE, MAX_DENSE_ITEMS, Baseline, ItemKNN, Popularity
from models.evaluation.metrics import ndcg_at

GRIDS = {"ease": (50.0, 200.0, 800.0), "als": (1.0, 3.0, 10.0)}  # of `regularization`
PEERS = ("popularity", "item_knn", "ease", "als")


class Known:
    """A baseline fitted on the items that were touched alone; the others score 0, as they would in the whole.

    EASE's time grows with the cube of items, and most of a catalogue may never have been touched.

    Args:
        model: not fitted yet.
        log: what it learns from.
    """

    def __init__(self, model: Baseline, log: Log) -> None:
        self.items = np.unique(log.item)
        self.width = log.items
        small = Log(log.user, np.searchsorted(self.items, log.item), log.ts, log.users, len(self.items))
        self.model = model.fit(small.interactions())

    def score(self, histories: csr_matrix, at: np.ndarray) -> np.ndarray:
        """As `Baseline.score`, float32 `[n, items]`."""
        out = np.zeros((len(at), self.width), np.float32)
        out[:, self.items] = self.model.score(histories[:, self.items], at)
        return out


def build(name: str, seed: int, **settings: float) -> Baseline:
    """A baseline by name."""
    makers: dict[str, Callable[..., Baseline]] = {
        "popularity": Popularity, "item_knn": ItemKNN, "ease": EASE, "als": lambda **own: ALS(seed=seed, **own),
    }  # fmt: skip
    return makers[name](**settings)


def too_wide(name: str, log: Log) -> bool:
    """Whether a log has more items than a peer can hold."""
    return name == "ease" and len(np.unique(log.item)) > MAX_DENSE_ITEMS


def scores_of(model: Known, task: Task) -> Scores:
    """A fitted baseline's scores of a task's requests."""
    return lambda rows, _: model.score(task.history[rows], task.ts[rows])


def choose(name: str, train: Log, validation: Task, seed: int) -> dict[str, Any]:
    """The regularization of the best NDCG@10 on validation, and what was compared; nothing where there is none."""
    judged = {}
    for value in GRIDS.get(name, ()):
        model = Known(build(name, seed, regularization=value), train)
        judged[value] = float(ndcg_at(answer(scores_of(model, validation), validation).rank, 10).mean())
        del model  # EASE's matrix, before the next one is made
    if not judged:
        return {}
    return {"regularization": max(judged, key=lambda value: judged[value]), "validation_ndcg@10": judged}


def train(name: str, fitted: Log, known: Log, validation: Task, test: Task, seed: int) -> Contestant:
    """Choose on validation, then fit on train and validation; the time is that of the last fit alone.

    Args:
        name: of the peer.
        fitted: train.
        known: train and validation.
        validation: requests of the validation part.
        test: what will be asked.
        seed: of the factors of ALS.
    """
    settings = choose(name, fitted, validation, seed)
    own = {key: value for key, value in settings.items() if key == "regularization"}
    started = perf_counter()
    model = Known(build(name, seed, **own), known)
    took = perf_counter() - started
    return Contestant(scores_of(model, test), took, len(known.user) / took, {"settings": settings})

"""Baselines: recommenders that learn from interactions alone, without features.

A model has to beat them to be worth its cost. All share one interface and score listeners who were not in training
from their history.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import numpy as np
from scipy.linalg import LinAlgError, inv
from scipy.sparse import csr_matrix, vstack
from threadpoolctl import threadpool_limits

from segue.errors import InputError

DAY = 86_400  # seconds
BLOCK_CELLS = 8_000_000  # in a dense block of items x items: 32 MB of float32
MAX_DENSE_ITEMS = 25_000  # a dense items x items matrix takes 2.5 GB of float32


@dataclass(frozen=True, eq=False, repr=False)
class Interactions:
    """Interactions of listeners with items; the same pair may occur several times.

    Args:
        user: index of each interaction's listener, int `[n]`, from 0 to `users` - 1.
        item: index of each interaction's item, int `[n]`, from 0 to `items` - 1.
        ts: time of each interaction, int64 seconds since 1970 UTC, `[n]`.
        users: number of listeners.
        items: number of items, including items without interactions.

    Raises:
        InputError: the arrays differ in length, are not integers, or an index is out of range.
    """

    user: np.ndarray
    item: np.ndarray
    ts: np.ndarray
    users: int
    items: int

    def __post_init__(self) -> None:
        columns = (self.user, self.item, self.ts)
        flat = all(column.ndim == 1 and np.issubdtype(column.dtype, np.integer) for column in columns)
        if not flat or len({len(column) for column in columns}) > 1:
            came = ", ".join(f"{column.dtype}{list(column.shape)}" for column in columns)
            raise InputError(
                f"`user`, `item` and `ts` must be flat arrays of integers of one length; they are {came}.",
                "Number listeners and items from 0 and give each interaction a time in whole seconds.",
            )
        for name, column, count in (("user", self.user, self.users), ("item", self.item, self.items)):
            wrong = np.flatnonzero((column < 0) | (column >= count))
            if len(wrong):
                raise InputError(
                    f"`{name}` must lie from 0 up to {count - 1}; row {wrong[0]} has {column[wrong[0]]}.",
                    f"Raise `{name}s`, or number them again from 0.",
                )

    def __repr__(self) -> str:
        ends = [self.ts.min(), self.ts.max()] if len(self.ts) else []
        days = " to ".join(str(datetime.fromtimestamp(int(ts), UTC).date()) for ts in ends)
        size = f"{self.users:,} listeners, {self.items:,} items, {len(self.ts):,} interactions"
        return f"Interactions({size}, {days or 'no days'})"

    def matrix(self) -> csr_matrix:
        """1 where a listener interacted with an item at least once, float32 `[users, items]`."""
        ones = np.ones(len(self.user), np.float32)
        return binary(csr_matrix((ones, (self.user, self.item)), shape=(self.users, self.items)))

    def counts(self, half_life_days: float | None = None) -> np.ndarray:
        """Number of interactions of each item, float32 `[items]`; the log must not be empty.

        Args:
            half_life_days: an interaction that is this much older than the log's end counts half; None counts all
                interactions equally.
        """
        age = (self.ts.max() - self.ts) / DAY
        weights = None if half_life_days is None else np.exp2(-age / half_life_days)
        return np.bincount(self.item, weights, self.items).astype(np.float32)


def binary(matrix: csr_matrix) -> csr_matrix:
    """A float32 copy with 1 wherever `matrix` is not 0."""
    out = csr_matrix(matrix, dtype=np.float32, copy=True)
    out.sum_duplicates()
    out.eliminate_zeros()
    out.data[:] = 1
    return out


def common_listeners(matrix: csr_matrix) -> Iterator[tuple[slice, np.ndarray]]:
    """Count the listeners that two items share, for all pairs of items.

    Args:
        matrix: binary, `[users, items]`.

    Yields:
        A block of items and its counts, float32 `[block, items]`: all pairs at once may not fit in memory.
    """
    listeners = matrix.T.tocsr()  # [items, users]
    items = matrix.shape[1]
    size = max(1, BLOCK_CELLS // items)
    for start in range(0, items, size):
        block = slice(start, min(start + size, items))
        yield block, (listeners[block] @ matrix).toarray()


def require_positive(**arguments: float) -> None:
    """Raise an InputError for the first argument that is not above 0."""
    for name, value in arguments.items():
        if not value > 0:  # also true of nan
            raise InputError(f"`{name}` must be above 0; it is {value}.", "Raise it.")


class Baseline(ABC):
    """A recommender that learns from interactions alone and scores listeners by their history."""

    def fit(self, interactions: Interactions) -> Self:
        """Learn from a log of interactions.

        Raises:
            InputError: the log is empty.
        """
        if len(interactions.item) == 0:
            raise InputError("A baseline needs an interaction to learn from; the log has none.", "Give a longer log.")
        self._fallback = interactions.counts()
        self._fit(interactions)
        return self

    def score(self, histories: csr_matrix, at: np.ndarray) -> np.ndarray:
        """Score every item for each listener; items of the history are scored like all others.

        A row without any score falls back to the items' counts in the log: its history is empty, or holds only items
        without interactions in training.

        Args:
            histories: not 0 where the listener interacted with the item before, `[n, items]`.
            at: time of each request, int64 seconds, `[n]`; for methods whose order changes with time.

        Returns:
            float32 `[n, items]`; scores are comparable within a row only.

        Raises:
            InputError: the shapes do not fit the log or each other.
        """
        expected = (len(at), len(self._fallback))
        if histories.shape != expected:
            raise InputError(
                f"Histories must be [times, items of the log] = {list(expected)}; they are {list(histories.shape)}.",
                "Number the items as in training, and give one time for each history.",
            )
        scores = self._score(binary(histories))
        scores[~scores.any(axis=1)] = self._fallback
        return scores

    @abstractmethod
    def _fit(self, interactions: Interactions) -> None: ...

    @abstractmethod
    def _score(self, histories: csr_matrix) -> np.ndarray:
        """Scores for binary `histories`, writable float32 `[n, items]`; a row of zeros asks for the fallback."""


class Popularity(Baseline):
    """The most popular items, in the same order for every listener.

    Args:
        half_life_days: an interaction that is this much older than the log's end counts half; None counts all
            interactions equally.
    """

    def __init__(self, half_life_days: float | None = None) -> None:
        if half_life_days is not None:
            require_positive(half_life_days=half_life_days)
        self.half_life_days = half_life_days

    def _fit(self, interactions: Interactions) -> None:
        self._counts = interactions.counts(self.half_life_days)

    def _score(self, histories: csr_matrix) -> np.ndarray:
        return np.tile(self._counts, (histories.shape[0], 1))


class ItemKNN(Baseline):
    """Item-based nearest neighbours: an item's score is its summed similarity to the items of the history.

    Only the nearest neighbours of each item count (Deshpande and Karypis, TOIS 2004). The similarity of two items is
    the cosine of their columns with a larger denominator, `common / (|a| |b| + shrink)`, which lowers the similarity
    of items with few listeners (Ferrari Dacrema et al., RecSys 2019). An empty history falls back to popularity.

    Args:
        neighbours: number of most similar items that count for each item; items that tie with the last one count too.
        shrink: added to the denominator; 0 is the plain cosine.
    """

    def __init__(self, neighbours: int = 100, shrink: float = 10.0) -> None:
        require_positive(neighbours=neighbours)
        if shrink < 0:
            raise InputError(f"`shrink` must not be negative; it is {shrink}.", "Use 0 for the plain cosine.")
        self.neighbours, self.shrink = neighbours, shrink

    def _fit(self, interactions: Interactions) -> None:
        matrix = interactions.matrix()
        norm = np.sqrt(matrix.sum(axis=0)).A1.astype(np.float32)  # [items]; the columns are binary
        kept = min(self.neighbours, interactions.items)
        parts = []
        for block, similar in common_listeners(matrix):
            denominator = np.outer(norm[block], norm) + self.shrink
            similar /= np.where(denominator > 0, denominator, 1)  # 0 / 0 for an item without interactions
            np.fill_diagonal(similar[:, block], 0)  # an item is not its own neighbour
            least = np.partition(similar, -kept, axis=1)[:, [-kept]]  # [block, 1]
            parts.append(csr_matrix(np.where(similar >= least, similar, 0)))
        self._similar = vstack(parts, format="csr")  # [items, items]

    def _score(self, histories: csr_matrix) -> np.ndarray:
        return (histories @ self._similar).toarray()


class EASE(Baseline):
    """EASE, a linear item-to-item model in closed form (Steck, WWW 2019).

    With the binary matrix X `[users, items]`: `P = (X'X + regularization I)^-1`, weights `B = -P / diag(P)` by column
    with a diagonal of 0, scores `X B`. An empty history falls back to popularity.

    Args:
        regularization: lambda of the paper. The default of 500 is the paper's value for MovieLens-20M; it is not
            adapted to the size of the log.
    """

    def __init__(self, regularization: float = 500.0) -> None:
        require_positive(regularization=regularization)
        self.regularization = regularization

    def _fit(self, interactions: Interactions) -> None:
        items = interactions.items
        if items > MAX_DENSE_ITEMS:
            raise InputError(
                f"EASE's memory is quadratic in items, {MAX_DENSE_ITEMS:,} at most; the log has {items:,}.",
                "Leave out the rarest items, or use ItemKNN.",
            )
        gram = np.empty((items, items), np.float32, order="F")  # in LAPACK's order it can be inverted in place
        for block, common in common_listeners(interactions.matrix()):
            gram[:, block] = common.T
        gram[np.diag_indices(items)] += self.regularization
        try:
            precision = inv(gram, overwrite_a=True, check_finite=False, assume_a="pos", lower=True)
        except LinAlgError:
            raise InputError("EASE could not invert the items' matrix in float32.", "Raise `regularization`.") from None
        self.weights = precision.T  # symmetric; the transpose is in row order, which the product below reads faster
        self.weights /= -self.weights.diagonal().copy()
        np.fill_diagonal(self.weights, 0)

    def _score(self, histories: csr_matrix) -> np.ndarray:
        return histories @ self.weights


class ALS(Baseline):
    """Matrix factorization for implicit feedback (Hu et al., ICDM 2008), by the library `implicit`.

    A listener's factors are solved from the history (equation 4 of the paper). An empty history falls back to
    popularity. All defaults but the width are the library's.

    Args:
        factors: width of the factors.
        regularization: weight of the factors' squared norm.
        alpha: confidence of an interaction; a missing interaction has confidence 1.
        iterations: rounds of alternating solves.
        seed: seed of the initial factors.
    """

    def __init__(
        self, factors: int = 64, regularization: float = 0.01, alpha: float = 1.0, iterations: int = 15, seed: int = 0
    ) -> None:
        self.settings = {
            "factors": factors, "regularization": regularization, "alpha": alpha, "iterations": iterations,
        }  # fmt: skip
        require_positive(**self.settings)
        self.seed = seed

    def _fit(self, interactions: Interactions) -> None:
        from implicit.cpu.als import AlternatingLeastSquares  # loads the BLAS whose threads are limited below

        with threadpool_limits(1, "blas"):  # the solver already runs one thread per core
            self._model = AlternatingLeastSquares(**self.settings, num_threads=0, random_state=self.seed)
            self._model.fit(interactions.matrix(), show_progress=False)

    def _score(self, histories: csr_matrix) -> np.ndarray:
        with threadpool_limits(1, "blas"):
            listeners = self._model.recalculate_user(np.arange(histories.shape[0]), histories)
        return listeners @ self._model.item_factors.T  # [n, items]

"""Recommenders from co-occurrence alone: what a model has to beat, and what someone would run instead.

All share one interface and serve listeners that training never had, from what they have done so far.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import numpy as np
from scipy.linalg.lapack import spotrf, spotri
from scipy.sparse import csr_matrix, vstack
from threadpoolctl import threadpool_limits

from segue.errors import InputError

DAY = 86_400  # seconds
BLOCK_CELLS = 8_000_000  # of a dense block of items against items: 32 MB
MAX_DENSE_ITEMS = 25_000  # 2.5 GB of float32


@dataclass(frozen=True, eq=False, repr=False)
class Interactions:
    """Who touched what and when; a row may repeat.

    Args:
        user: the listener of each interaction, int `[n]`, from 0 up to `users`.
        item: its item, int `[n]`, from 0 up to `items`.
        ts: its time, int64 seconds since 1970 UTC, `[n]`.
        users: listeners there are.
        items: items there are, those that nobody touched included.

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
                    f"Raise `{name}s` or number them anew.",
                )

    def __repr__(self) -> str:
        ends = [self.ts.min(), self.ts.max()] if len(self.ts) else []
        days = " to ".join(str(datetime.fromtimestamp(int(ts), UTC).date()) for ts in ends)
        size = f"{self.users:,} listeners, {self.items:,} items, {len(self.ts):,} interactions"
        return f"Interactions({size}, {days or 'no days'})"

    def matrix(self) -> csr_matrix:
        """1 where a listener touched an item, however often, float32 `[users, items]`."""
        ones = np.ones(len(self.user), np.float32)
        return binary(csr_matrix((ones, (self.user, self.item)), shape=(self.users, self.items)))

    def counts(self, half_life_days: float | None = None) -> np.ndarray:
        """Interactions of each item, float32 `[items]`; the log must not be empty.

        Args:
            half_life_days: one this much older than the log's end weighs half; None weighs all alike.
        """
        age = (self.ts.max() - self.ts) / DAY
        weights = None if half_life_days is None else np.exp2(-age / half_life_days)
        return np.bincount(self.item, weights, self.items).astype(np.float32)


def binary(matrix: csr_matrix) -> csr_matrix:
    """A copy with 1 wherever `matrix` is not 0, float32, of the same shape."""
    out = csr_matrix(matrix, dtype=np.float32, copy=True)
    out.sum_duplicates()
    out.eliminate_zeros()
    out.data[:] = 1
    return out


def common_listeners(matrix: csr_matrix) -> Iterator[tuple[slice, np.ndarray]]:
    """How many listeners of a binary `[users, items]` touched both of two items.

    Yields:
        A block of items and its float32 `[block, items]`, since all pairs at once may not fit in memory.
    """
    touched_by = matrix.T.tocsr()
    items = matrix.shape[1]
    size = max(1, BLOCK_CELLS // items)
    for start in range(0, items, size):
        block = slice(start, min(start + size, items))
        yield block, (touched_by[block] @ matrix).toarray()


def require_positive(**arguments: float) -> None:
    """Raise an InputError that names the first argument that is not above 0."""
    for name, value in arguments.items():
        if not value > 0:  # nan is not either
            raise InputError(f"`{name}` must be above 0; it is {value}.", "Raise it.")


class Baseline(ABC):
    """A recommender learnt from interactions alone, for listeners known only by a history."""

    def fit(self, interactions: Interactions) -> Self:
        """Learn from a log; an InputError if it is empty."""
        if len(interactions.item) == 0:
            raise InputError("A baseline needs an interaction to learn from; the log has none.", "Give a longer log.")
        self._fallback = interactions.counts()
        self._fit(interactions)
        return self

    def score(self, histories: csr_matrix, at: np.ndarray) -> np.ndarray:
        """How well each item suits each listener now; items of the history are scored like all others.

        Where the method has nothing to say, because the history is empty or holds only items that nobody
        else touched, the row's scores are the items' plain counts in the log.

        Args:
            histories: not 0 where the listener touched the item before, `[n, items]`.
            at: when each is asked, int64 seconds, `[n]`; for methods whose order changes with time.

        Returns:
            float32 `[n, items]`; comparable within a row only.

        Raises:
            InputError: the shapes do not fit the log or each other.
        """
        expected = (len(at), len(self._fallback))
        if histories.shape != expected:
            raise InputError(
                f"Histories must be [times, items of the log] = {list(expected)}; they are {list(histories.shape)}.",
                "Number the items as in training and give one time a history.",
            )
        scores = self._score(binary(histories))
        scores[~scores.any(axis=1)] = self._fallback
        return scores

    @abstractmethod
    def _fit(self, interactions: Interactions) -> None: ...

    @abstractmethod
    def _score(self, histories: csr_matrix) -> np.ndarray:
        """Scores of binary `histories`, writable float32 `[n, items]`; all 0 where there is nothing to say."""


class Popularity(Baseline):
    """The same list for all: the items touched most, an empty history or not.

    Args:
        half_life_days: an interaction this much older than the log's end counts half; None counts all alike.
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
    """Items that the same listeners touched: the summed similarity to what is in the history.

    Each item passes its similarity on to its nearest neighbours (Deshpande and Karypis, TOIS 2004). The
    similarity of two items is the cosine of their columns with a shrunk denominator,
    `common / (|a| |b| + shrink)`, that distrusts items with few listeners (Ferrari Dacrema et al., RecSys 2019).
    An empty history falls back to popularity.

    Args:
        neighbours: most similar items that each item keeps, and those that tie with the last of them.
        shrink: added to the denominator; 0 is the plain cosine.
    """

    def __init__(self, neighbours: int = 100, shrink: float = 10.0) -> None:
        require_positive(neighbours=neighbours)
        if shrink < 0:
            raise InputError(f"`shrink` must not be negative; it is {shrink}.", "Take 0 for the plain cosine.")
        self.neighbours, self.shrink = neighbours, shrink

    def _fit(self, interactions: Interactions) -> None:
        matrix = interactions.matrix()
        norm = np.sqrt(matrix.sum(axis=0)).A1.astype(np.float32)  # of binary columns
        kept = min(self.neighbours, interactions.items)
        parts = []
        for block, similar in common_listeners(matrix):
            denominator = np.outer(norm[block], norm) + self.shrink
            similar /= np.where(denominator > 0, denominator, 1)  # 0 / 0: nobody touched the item
            np.fill_diagonal(similar[:, block], 0)  # an item does not recommend itself
            least = np.partition(similar, -kept, axis=1)[:, [-kept]]  # [block, 1]
            parts.append(csr_matrix(np.where(similar >= least, similar, 0)))
        self._similar = vstack(parts, format="csr")  # [items, items]

    def _score(self, histories: csr_matrix) -> np.ndarray:
        return (histories @ self._similar).toarray()


class EASE(Baseline):
    """A linear item-to-item model in closed form (Steck, WWW 2019).

    `P = (X'X + regularization I)^-1`, weights `B = -P / diag(P)` by column with a diagonal of 0, scores `X B`.
    X is binary and not centred. An empty history falls back to popularity.

    Args:
        regularization: lambda; 500 is the paper's for MovieLens-20M, used whatever the size of the log.
    """

    def __init__(self, regularization: float = 500.0) -> None:
        require_positive(regularization=regularization)
        self.regularization = regularization

    def _fit(self, interactions: Interactions) -> None:
        items = interactions.items
        if items > MAX_DENSE_ITEMS:
            raise InputError(
                f"EASE's memory is quadratic in items, {MAX_DENSE_ITEMS:,} at most; the log has {items:,}.",
                "Leave out the rarest items or take ItemKNN.",
            )
        gram = np.empty((items, items), np.float32, order="F")  # LAPACK's order, so that it works in place
        for block, common in common_listeners(interactions.matrix()):
            gram[:, block] = common.T
        gram[np.diag_indices(items)] += self.regularization
        self.weights = inverse(gram).T  # symmetric: the transpose only gives rows that lie together
        self.weights /= -self.weights.diagonal().copy()
        np.fill_diagonal(self.weights, 0)

    def _score(self, histories: csr_matrix) -> np.ndarray:
        return histories @ self.weights


def inverse(matrix: np.ndarray) -> np.ndarray:
    """The inverse of a symmetric positive definite float32 `[n, n]` in Fortran order, written over it.

    Raises:
        InputError: the matrix is not positive definite to float32's precision.
    """
    factor, failed = spotrf(matrix, lower=1, clean=0, overwrite_a=1)
    if not failed:
        matrix, failed = spotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise InputError("EASE could not invert the items' matrix in float32.", "Raise `regularization`.")
    for start in range(0, len(matrix), 1024):  # LAPACK fills the lower half only
        block = slice(start, start + 1024)
        corner = np.tril(matrix[block, block])
        matrix[block, block] = corner + np.tril(corner, -1).T
        matrix[block, block.stop :] = matrix[block.stop :, block].T
    return matrix


class ALS(Baseline):
    """Factors of listeners and items for implicit feedback (Hu et al., ICDM 2008), by the library `implicit`.

    A listener's factors are solved from the history (the paper's equation 4). An empty history falls back to
    popularity. The defaults are the library's, but for the width.

    Args:
        factors: width of the factors.
        regularization: the weight of the factors' squared norm.
        alpha: confidence of an interaction, where none has 1.
        iterations: rounds of alternating solves.
        seed: of the initial factors.
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
        from implicit.cpu.als import AlternatingLeastSquares  # brings the BLAS whose threads are limited below

        with threadpool_limits(1, "blas"):  # the solver runs a thread a core itself
            self._model = AlternatingLeastSquares(**self.settings, num_threads=0, random_state=self.seed)
            self._model.fit(interactions.matrix(), show_progress=False)

    def _score(self, histories: csr_matrix) -> np.ndarray:
        with threadpool_limits(1, "blas"):
            listeners = self._model.recalculate_user(np.arange(histories.shape[0]), histories)
        return listeners @ self._model.item_factors.T  # [n, items]

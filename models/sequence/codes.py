"""Semantic ids: an item as a few codes, from coarse to fine, so that like items begin alike.

Residual k-means (Rajput et al., NeurIPS 2023, appendix; RQ-KMeans: Luo et al. 2024): the first code is the nearest
of K centroids, the next that of what is left over, and so on. Items that agree in all of them are told apart by a
last code.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from segue.errors import InputError

LEVELS = 3  # without the last code, which tells apart
LEAST, MOST = 8, 256  # codes of a level
ROOM = 1000  # combinations of codes for each item
TRAINED = 50_000  # items that centroids are fitted to; more of them move nothing


@dataclass(frozen=True, eq=False)
class Codebook:
    """Centroids, and the codes that items have had so far.

    Attributes:
        centroids: one `[k, dim]` a level, of what the levels before left over.
        codes: of each item, int32 `[items, levels + 1]`; the last column counts items of the same codes from 0.
        ids: of the items.
    """

    centroids: list[np.ndarray]
    codes: np.ndarray
    ids: list[str]

    @classmethod
    def fit(cls, ids: list[str], vectors: np.ndarray, seed: int, levels: int = LEVELS) -> Self:
        """Codes of items from nothing.

        Args:
            ids: of the items, distinct.
            vectors: what is known of them: like items lie near each other, float32 `[items, dim]`.
            seed: of the first centroids and of the sample that they are fitted to.
            levels: codes without the last one.
        """
        from sklearn.cluster import MiniBatchKMeans

        demand_vectors(ids, vectors)
        rng = np.random.default_rng(seed)
        size = codes_a_level(len(ids), levels)
        drawn = rng.permutation(len(ids))[:TRAINED]
        left = vectors.astype(np.float32, copy=True)
        centroids = []
        for level in range(levels):
            means = MiniBatchKMeans(size, batch_size=4096, n_init=3, random_state=seed + level).fit(left[drawn])
            centroids.append(means.cluster_centers_.astype(np.float32))
            left -= centroids[-1][nearest(left, centroids[-1])]
        return cls(centroids, np.zeros((0, levels + 1), np.int32), []).extend(ids, vectors)

    def extend(self, ids: list[str], vectors: np.ndarray) -> Self:
        """The same codes, with some for the items given that had none.

        A retrained model has its items elsewhere: the centroids move to where the items of their codes are now.

        Args:
            ids: of the items, distinct; items that are not named keep their codes too, and nobody else gets them.
            vectors: of each, `[items, dim]`; of any width.

        Returns:
            A codebook of the named items first, in this order, then those that are gone.

        Raises:
            InputError: an id twice, or vectors of another shape.
        """
        demand_vectors(ids, vectors)
        known = dict(zip(self.ids, self.codes, strict=True))
        taken: dict[tuple[int, ...], int] = {}
        for code in self.codes.tolist():
            taken[tuple(code[:-1])] = max(taken.get(tuple(code[:-1]), 0), code[-1] + 1)
        old = np.array([item in known for item in ids])
        book = self.moved(np.array([known[item] for item in ids if item in known]), vectors[old]) if old.any() else self
        assigned = book.assign(vectors)
        out = np.zeros((len(ids), len(self.centroids) + 1), np.int32)
        for row, item in enumerate(ids):
            if item in known:
                out[row] = known[item]
                continue
            prefix = tuple(assigned[row].tolist())
            out[row] = (*prefix, taken.get(prefix, 0))
            taken[prefix] = out[row, -1] + 1
        gone = sorted(set(self.ids) - set(ids))
        kept = np.array([known[item] for item in gone], np.int32).reshape(len(gone), out.shape[1])
        return type(self)(book.centroids, np.concatenate([out, kept]), [*ids, *gone])

    def moved(self, codes: np.ndarray, vectors: np.ndarray) -> Self:
        """The same codes of items, with centroids where these items are.

        Args:
            codes: of items, int `[n, levels + 1]`.
            vectors: where they are now, `[n, dim]`.

        Returns:
            A codebook whose centroids are the means of what the levels before left over; nan for what no item has.
        """
        left = vectors.astype(np.float32, copy=True)
        centroids = []
        for level, known in enumerate(self.centroids):
            total = np.zeros((len(known), left.shape[1]), np.float32)
            np.add.at(total, codes[:, level], left)
            count = np.bincount(codes[:, level], minlength=len(known))[:, None]
            centroids.append(np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32))
            left -= centroids[level][codes[:, level]]
        return replace(self, centroids=centroids)

    def write(self, path: Path) -> None:
        """Write it to a file that `read` reads."""
        with path.open("wb") as file:
            np.savez_compressed(
                file, centroids=np.stack(self.centroids), codes=self.codes, ids=np.array(self.ids, np.str_)
            )

    @classmethod
    def read(cls, path: Path) -> Self:
        """What `write` wrote."""
        with np.load(path, allow_pickle=False) as held:
            return cls(list(held["centroids"]), held["codes"], held["ids"].tolist())

    def assign(self, vectors: np.ndarray) -> np.ndarray:
        """The nearest codes of vectors `[n, dim]`, level by level: int32 `[n, levels]`."""
        left = vectors.astype(np.float32, copy=True)
        found = []
        for centroids in self.centroids:
            found.append(nearest(left, centroids))
            left -= centroids[found[-1]]
        return np.stack(found, axis=1).astype(np.int32)

    def collision_rate(self, count: int) -> float:
        """Share of the first `count` items that share all codes but the last with another of them."""
        codes = self.codes[:count, :-1]
        _, inverse, counts = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
        return float((counts[inverse] > 1).mean()) if count else 0.0


def codes_a_level(items: int, levels: int) -> int:
    """How many codes a level has: enough for 1000 times as many combinations as items, so that few collide."""
    size = int(np.ceil((ROOM * items) ** (1 / levels)))
    return min(max(size, LEAST), MOST, items)


def nearest(vectors: np.ndarray, centroids: np.ndarray, block: int = 65_536) -> np.ndarray:
    """The nearest centroid of each vector by Euclidean distance, the first of equal ones, none of nan: int `[n]`."""
    half = np.where(np.isnan(centroids).any(axis=1), np.inf, 0.5 * np.sum(centroids**2, axis=1))
    centroids = np.nan_to_num(centroids)
    parts = [np.argmin(half - vectors[i : i + block] @ centroids.T, axis=1) for i in range(0, len(vectors), block)]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def demand_vectors(ids: list[str], vectors: np.ndarray) -> None:
    """Refuse vectors that are not one an id, or ids that come twice.

    Raises:
        InputError: so.
    """
    if vectors.ndim != 2 or len(vectors) != len(ids) or len(ids) == 0:
        raise InputError(f"Codes need one vector an item, [{len(ids)}, dim]. Received {list(vectors.shape)}.", "Match.")
    if len(set(ids)) != len(ids):
        raise InputError("Codes need distinct ids; some come twice.", "Leave the repetitions out.")
    if not np.isfinite(vectors).all():
        raise InputError(
            "Codes need finite vectors; some are not.", "Look for extreme values in what they are made of."
        )

"""Semantic ids: an item as a few codes, from coarse to fine, so that like items begin alike.

Residual k-means (Rajput et al., NeurIPS 2023, appendix; RQ-KMeans: Luo et al. 2024): the first code is the nearest
of K centroids, the next that of what is left over, and so on. Items that agree in all of them are told apart by a
last code.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from segue.errors import InputError

LEVELS = 3  # without the last code, which tells apart
LEAST, MOST = 8, 256  # codes of a level
ROOM = 64  # combinations of codes for each item
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
        """The same centroids, with codes for the items given: those that had codes keep them.

        Args:
            ids: of the items, distinct; items that are not named keep their codes too, and nobody else gets them.
            vectors: of each, `[items, dim]`, made as those that the centroids were fitted to.

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
        assigned = self.assign(vectors)
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
        return type(self)(self.centroids, np.concatenate([out, kept]), [*ids, *gone])

    def assign(self, vectors: np.ndarray) -> np.ndarray:
        """The nearest codes of vectors `[n, dim]`, level by level: int32 `[n, levels]`."""
        left = vectors.astype(np.float32, copy=True)
        found = []
        for centroids in self.centroids:
            found.append(nearest(left, centroids))
            left -= centroids[found[-1]]
        return np.stack(found, axis=1).astype(np.int32)

    @property
    def collision_rate(self) -> float:
        """Share of the items that share all codes but the last with another item."""
        _, inverse, counts = np.unique(self.codes[:, :-1], axis=0, return_inverse=True, return_counts=True)
        return float((counts[inverse] > 1).mean()) if len(self.codes) else 0.0


def codes_a_level(items: int, levels: int) -> int:
    """How many codes a level has: enough for 64 times as many combinations as items, so that few collide."""
    size = int(np.ceil((ROOM * items) ** (1 / levels)))
    return min(max(size, LEAST), MOST, items)


def nearest(vectors: np.ndarray, centroids: np.ndarray, block: int = 65_536) -> np.ndarray:
    """The nearest centroid of each vector by Euclidean distance, int `[n]`; of equal ones the first."""
    half = 0.5 * np.sum(centroids**2, axis=1)
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

"""Semantic ids: each item as a few codes from coarse to fine, so that similar items share their first codes.

The codes come from residual k-means (Rajput et al., NeurIPS 2023, appendix; RQ-KMeans: Luo et al. 2024). The first code
is the nearest of K centroids; the second is the nearest centroid to the residual, the item's vector minus the first
centroid; and so on. A last code counts the items that agree in all the others, so no two items have the same codes.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from segue.errors import InputError
from segue.settings import MODEL_CARD

# In a SavedModel's folder: items keep their codes when the model is trained again.
CODES = Path(MODEL_CARD).with_name("codes.npz")
LEVELS = 3  # codes of an item before the last one
LEAST, MOST = 8, 256  # the fewest and the most codes of a level
ROOM = 1000  # combinations of codes for each item, so that few items share one
TRAINED = 50_000  # items that centroids are fitted to; a larger sample hardly moves them


@dataclass(frozen=True, eq=False)
class Codebook:
    """Centroids and the codes of items, kept from one training to the next so that an item's codes stay the same.

    Attributes:
        centroids: one array `[k, dim]` for each level, in the space of the residuals that the levels before leave.
        codes: codes of each item, int32 `[items, levels + 1]`; the last column counts items with equal codes from 0.
        ids: ids of the items, past items included.
    """

    centroids: list[np.ndarray]
    codes: np.ndarray
    ids: list[str]

    @classmethod
    def fit(cls, ids: list[str], vectors: np.ndarray, seed: int, levels: int = LEVELS) -> Self:
        """Fit centroids to items and give each item codes.

        Args:
            ids: ids of the items, distinct.
            vectors: item embeddings, in which similar items are near each other, float32 `[items, dim]`.
            seed: seed of the first centroids and of the sample that they are fitted to.
            levels: codes of an item before the last one.

        Raises:
            InputError: there is no item, an id repeats, or the vectors are not finite or not one for each id.
        """
        from sklearn.cluster import MiniBatchKMeans

        demand_vectors(ids, vectors)
        rng = np.random.default_rng(seed)
        size = codes_a_level(len(ids), levels)
        sample = rng.permutation(len(ids))[:TRAINED]
        residual = vectors.astype(np.float32, copy=True)
        centroids = []
        for level in range(levels):
            means = MiniBatchKMeans(size, batch_size=4096, n_init=3, random_state=seed + level).fit(residual[sample])
            centroids.append(means.cluster_centers_.astype(np.float32))
            residual -= centroids[-1][nearest(residual, centroids[-1])]
        return cls(centroids, np.zeros((0, levels + 1), np.int32), []).extend(ids, vectors)

    def extend(self, ids: list[str], vectors: np.ndarray) -> Self:
        """Give codes to the items that have none; the others keep theirs.

        A retrained model places its items elsewhere, so the centroids are first moved to the new vectors of the items
        that have codes.

        Args:
            ids: ids of the items, distinct. Items of the codebook that are not among them keep their codes, which no
                other item gets.
            vectors: vectors of the items, `[items, dim]`; the width may differ from the codebook's.

        Returns:
            A codebook with the given items first, in their order, then the items that are not among them.

        Raises:
            InputError: there is no item, an id repeats, or the vectors are not finite or not one for each id.
        """
        demand_vectors(ids, vectors)
        codes_of = dict(zip(self.ids, self.codes, strict=True))
        next_last: dict[tuple[int, ...], int] = {}  # the next free last code of each prefix
        for code in self.codes.tolist():
            next_last[tuple(code[:-1])] = max(next_last.get(tuple(code[:-1]), 0), code[-1] + 1)
        coded = np.array([item in codes_of for item in ids])
        old_codes = [codes_of[item] for item in ids if item in codes_of]
        book = self.moved(np.array(old_codes), vectors[coded]) if coded.any() else self
        assigned = book.assign(vectors)
        out = np.zeros((len(ids), len(self.centroids) + 1), np.int32)
        for row, item in enumerate(ids):
            if item in codes_of:
                out[row] = codes_of[item]
                continue
            prefix = tuple(assigned[row].tolist())
            out[row] = (*prefix, next_last.get(prefix, 0))
            next_last[prefix] = out[row, -1] + 1
        past = sorted(set(self.ids) - set(ids))
        past_codes = np.array([codes_of[item] for item in past], np.int32).reshape(len(past), out.shape[1])
        return type(self)(book.centroids, np.concatenate([out, past_codes]), [*ids, *past])

    def moved(self, codes: np.ndarray, vectors: np.ndarray) -> Self:
        """Move the centroids to the means of the items that have their codes.

        Args:
            codes: codes of items, int `[n, levels + 1]`.
            vectors: vectors of the same items, `[n, dim]`.

        Returns:
            A codebook with the same codes and new centroids; nan where no item has the code.
        """
        residual = vectors.astype(np.float32, copy=True)
        centroids = []
        for level, old in enumerate(self.centroids):
            total = np.zeros((len(old), residual.shape[1]), np.float32)
            np.add.at(total, codes[:, level], residual)
            count = np.bincount(codes[:, level], minlength=len(old))[:, None]
            centroids.append(np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32))
            residual -= centroids[level][codes[:, level]]
        return replace(self, centroids=centroids)

    def write(self, path: Path) -> None:
        """Write the codebook to a `.npz` file."""
        with path.open("wb") as file:
            np.savez_compressed(
                file, centroids=np.stack(self.centroids), codes=self.codes, ids=np.array(self.ids, np.str_)
            )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a codebook that `write` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(list(arrays["centroids"]), arrays["codes"], arrays["ids"].tolist())

    def assign(self, vectors: np.ndarray) -> np.ndarray:
        """Find the codes of vectors `[n, dim]`, the nearest centroid level by level: int32 `[n, levels]`."""
        residual = vectors.astype(np.float32, copy=True)
        codes = []
        for centroids in self.centroids:
            codes.append(nearest(residual, centroids))
            residual -= centroids[codes[-1]]
        return np.stack(codes, axis=1).astype(np.int32)

    def cells(self, most: int) -> np.ndarray:
        """Group the items into a few cells of the embedding space, by Ward's method over the first code's centroids.

        Args:
            most: the largest number of cells.

        Returns:
            The cell of each item of `ids`, int `[items]`, from 0; -1 where the first code has lost its centroid.
        """
        from scipy.cluster.hierarchy import fcluster, ward

        first = self.centroids[0]
        known = np.flatnonzero(np.isfinite(first).all(axis=1))
        cell_of = np.full(len(first), -1)
        cell_of[known] = fcluster(ward(first[known]), most, "maxclust") - 1 if len(known) > most else range(len(known))
        return cell_of[self.codes[:, 0]]

    def collision_rate(self, count: int) -> float:
        """The share of the first `count` items that agree with another of them in all codes but the last."""
        codes = self.codes[:count, :-1]
        _, inverse, counts = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
        return float((counts[inverse] > 1).mean()) if count else 0.0


def codes_a_level(items: int, levels: int) -> int:
    """The number of codes of a level, chosen for 1000 times as many combinations as items so that few collide.

    It lies between 8 and 256, but never above the number of items.
    """
    size = int(np.ceil((ROOM * items) ** (1 / levels)))
    return min(max(size, LEAST), MOST, items)


def nearest(vectors: np.ndarray, centroids: np.ndarray, block: int = 65_536) -> np.ndarray:
    """The row of the nearest centroid of each vector by Euclidean distance, int `[n]`; the first of equally near ones.

    Args:
        vectors: `[n, dim]`.
        centroids: `[k, dim]`; a centroid of nan is never the nearest.
        block: vectors that are compared at once.
    """
    half = np.where(np.isnan(centroids).any(axis=1), np.inf, 0.5 * np.sum(centroids**2, axis=1))
    centroids = np.nan_to_num(centroids)
    parts = [np.argmin(half - vectors[i : i + block] @ centroids.T, axis=1) for i in range(0, len(vectors), block)]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def demand_vectors(ids: list[str], vectors: np.ndarray) -> None:
    """Check the ids and vectors of items.

    Raises:
        InputError: there is no item, an id repeats, or the vectors are not finite or not one for each id.
    """
    if vectors.ndim != 2 or len(vectors) != len(ids) or len(ids) == 0:
        raise InputError(
            f"Codes need one vector an item, [{len(ids)}, dim], and at least one item. "
            f"Received vectors {list(vectors.shape)}.",
            "Give one vector for each id.",
        )
    if len(set(ids)) != len(ids):
        raise InputError("Codes need distinct ids. Received an id twice.", "Give each item once.")
    if not np.isfinite(vectors).all():
        raise InputError(
            "Codes need finite vectors. Received infinite or undefined values.",
            "Look for extreme values in the data that the vectors are computed from.",
        )

"""Items that the same listeners played: item to item, from the imported events."""

import numpy as np
from scipy import sparse

MOST_SIMILAR = 50
SHRINKAGE = 10.0  # listeners: pairs that few share are pulled towards 0
BLOCK = 2_000  # items whose similarities are held at once


def similar_items(users: np.ndarray, items: np.ndarray, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """For each item, the items that its listeners played too, best first.

    The similarity of two items is `both / (sqrt(one * other) + 10)`: the cosine of their listeners (Sarwar et al.,
    Item-based collaborative filtering, WWW 2001), shrunk for pairs with few listeners.

    Args:
        users, items: the numbers of listener and item of each play, `[plays]`; repeated plays count once.
        n_items: number of items.

    Returns:
        rows int32 `[n_items, 50]`, -1 after the last similar item; similarities float32 `[n_items, 50]`, 0 there.
    """
    n_users = int(users.max(initial=-1)) + 1
    played = sparse.csr_matrix((np.ones(len(items), np.float32), (items, users)), (n_items, max(n_users, 1)))
    played.data[:] = 1.0  # repeated plays were added up
    listeners = np.asarray(played.sum(axis=1)).ravel()
    rows = np.full((n_items, MOST_SIMILAR), -1, np.int32)
    similarity = np.zeros((n_items, MOST_SIMILAR), np.float32)
    transposed = played.T.tocsr()
    for start in range(0, n_items, BLOCK):
        both = (played[start : start + BLOCK] @ transposed).tocsr()
        for offset in range(both.shape[0]):
            item = start + offset
            others = both.indices[both.indptr[offset] : both.indptr[offset + 1]]
            shared = both.data[both.indptr[offset] : both.indptr[offset + 1]]
            scores = shared / (np.sqrt(listeners[item] * listeners[others]) + SHRINKAGE)
            scores[others == item] = 0.0
            best = np.lexsort((others, -scores))[:MOST_SIMILAR]
            best = best[scores[best] > 0]
            rows[item, : len(best)] = others[best]
            similarity[item, : len(best)] = scores[best]
    return rows, similarity

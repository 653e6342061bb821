"""Metrics of ranked lists: accuracy against sets of relevant items, and coverage, novelty, diversity and calibration.

A list is a row of `top`, int `[n, k]`: distinct items, the best first, and -1 where the list is shorter than k.
scikit-learn's ranking metrics need a score for every item, `[n, items]`; here only the first k are known.
"""

import numpy as np
from scipy.sparse import csr_matrix


def relevance(top: np.ndarray, truth: csr_matrix) -> np.ndarray:
    """Mark the places that hold a relevant item, bool `[n, k]`.

    Args:
        top: the lists, `[n, k]`.
        truth: not 0 where an item is relevant, `[n, items]`.
    """
    rows = np.arange(len(top))[:, None]
    return np.asarray((truth[rows, np.maximum(top, 0)] != 0).todense()) & (top >= 0)


def discounts(k: int) -> np.ndarray:
    """`1 / log2(place + 2)` for places from 0, `[k]` (Järvelin and Kekäläinen, TOIS 2002)."""
    return 1.0 / np.log2(np.arange(k) + 2.0)


def where_any(values: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """`values` `[n]` with nan in rows without a relevant item, so that `np.nanmean` leaves those rows out."""
    return np.where(relevant > 0, values, np.nan)


def precision(hits: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Share of the k places that hold a relevant item, `[n]`.

    Args:
        hits: `relevance` of the lists, `[n, k]`; `hits[:, :10]` for k = 10.
        relevant: relevant items of each row, `truth.count_nonzero(axis=1)`, `[n]`.

    Returns:
        `[n]`; nan in a row without a relevant item, as from all accuracy metrics below.
    """
    return where_any(hits.mean(axis=1), relevant)


def recall(hits: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Share of the relevant items that are in the list, `[n]`; it cannot reach 1 if more than k items are relevant."""
    return where_any(hits.sum(axis=1) / np.maximum(relevant, 1), relevant)


def ndcg(hits: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Discounted gain of the hits over the gain of an ideal list, `[n]`; gains are 0 or 1.

    Järvelin and Kekäläinen, TOIS 2002; the ideal list begins with `min(k, relevant)` hits.
    """
    gains = discounts(hits.shape[1])
    ideal = np.cumsum(gains)[np.clip(relevant, 1, hits.shape[1]) - 1]
    return where_any(hits @ gains / ideal, relevant)


def reciprocal_rank(hits: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """`1 / place` of the first hit, places from 1, 0 without a hit, `[n]`; its mean is the MRR.

    Voorhees, TREC 1999.
    """
    return where_any(np.where(hits.any(axis=1), 1.0 / (hits.argmax(axis=1) + 1), 0.0), relevant)


def average_precision(hits: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Sum of the precision at each hit, over `min(k, relevant)`, `[n]`; 1 for a perfect list. The mean is MAP@k."""
    k = hits.shape[1]
    at_place = np.cumsum(hits, axis=1) / np.arange(1, k + 1)  # [n, k]
    return where_any((at_place * hits).sum(axis=1) / np.clip(relevant, 1, k), relevant)


def as_matrix(top: np.ndarray, items: int) -> csr_matrix:
    """1 where an item is in a list, float64 `[n, items]`."""
    rows, places = np.nonzero(top >= 0)
    return csr_matrix((np.ones(len(rows)), (rows, top[rows, places])), shape=(len(top), items))


def ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """`top / bottom`, nan where `bottom` is 0."""
    return np.divide(top, bottom, out=np.full(np.broadcast_shapes(top.shape, bottom.shape), np.nan), where=bottom != 0)


def shares(weights: np.ndarray) -> np.ndarray:
    """Rows of `[n, m]` divided by their sums; nan where the sum is 0."""
    return ratio(weights, weights.sum(axis=1, keepdims=True))


def mean_over(lists: csr_matrix, values: np.ndarray) -> np.ndarray:
    """Average `values` `[items]` over the items that each row of a binary matrix marks: `[n]`, nan for an empty row."""
    return ratio(lists @ values, np.asarray(lists.sum(axis=1)).ravel())


def coverage(top: np.ndarray, items: int) -> float:
    """Share of the catalogue's `items` that are in at least one list."""
    return len(np.unique(top[top >= 0])) / items


def novelty(top: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean self-information of a list's items in bits, `[n]`; nan for an empty list.

    `-log2 p(i)`, where p is the item's share of all interactions (Vargas and Castells, RecSys 2011). An item without
    interactions counts as one interaction, since its information would be infinite.

    Args:
        top: the lists, `[n, k]`.
        counts: interactions of each item in the training log, `[items]`.
    """
    seen = np.maximum(counts, 1)
    return mean_over(as_matrix(top, len(counts)), -np.log2(seen / seen.sum()))


def intra_list_diversity(top: np.ndarray, content: np.ndarray) -> np.ndarray:
    """1 minus the mean cosine of all pairs of a list's items, `[n]` (Smyth and McClave, ICCBR 2001).

    Items without content (rows of zeros) are left out; nan where fewer than two are left.

    Args:
        top: the lists, `[n, k]`.
        content: a vector of each item, `[items, dim]`.
    """
    norm = np.linalg.norm(content, axis=1, keepdims=True)
    unit = np.divide(content, norm, out=np.zeros(content.shape), where=norm > 0)
    lists = as_matrix(top, len(content))
    with_content = lists @ (norm[:, 0] > 0).astype(np.float64)  # items of each list, [n]
    # The squared norm of a sum of unit vectors is their number plus twice the sum of all pairs' cosines.
    pairs = ((lists @ unit) ** 2).sum(axis=1) - with_content
    return 1.0 - ratio(pairs, with_content * (with_content - 1))


def popularity_bias(top: np.ndarray, histories: csr_matrix, counts: np.ndarray) -> float:
    """Popularity of the recommended items over the popularity of the items that the same listeners chose.

    1 means equally popular, 2 means twice as popular. It is the ratio of group average popularities: the mean over
    listeners of the mean popularity of their items (Abdollahpouri et al., RMSE at RecSys 2019; their change in GAP is
    this ratio minus 1). Listeners with an empty list or history are left out.

    Args:
        top: the lists, `[n, k]`.
        histories: not 0 where the listener interacted with the item, `[n, items]`.
        counts: interactions of each item in the training log, `[items]`.

    Returns:
        The ratio; nan if no listener has both a list and a history.
    """
    listed = mean_over(as_matrix(top, len(counts)), counts)
    chosen = mean_over((histories != 0).astype(np.float64), counts)
    both = ~np.isnan(listed) & ~np.isnan(chosen)
    return float(ratio(listed[both].sum(), chosen[both].sum()))


def genre_calibration(top: np.ndarray, histories: csr_matrix, genres: np.ndarray, alpha: float = 0.01) -> np.ndarray:
    """Divergence of a list's genres from the genres of the history, in nats, `[n]`; 0 for the same mix.

    `KL(p || (1 - alpha) q + alpha p)`, where p is the history's mix of genres and q the list's (Steck, RecSys 2018). An
    item's genres share one vote; items without a genre have no vote. nan where a history or a list has no genre.

    Args:
        top: the lists, `[n, k]`.
        histories: not 0 where the listener interacted with the item, `[n, items]`.
        genres: weight of each genre in each item, `[items, genres]`, not negative.
        alpha: share of p in the smoothed q, which keeps the divergence finite if the list lacks a genre.
    """
    votes = np.nan_to_num(shares(genres))
    p, q = (shares(lists @ votes) for lists in ((histories != 0).astype(np.float64), as_matrix(top, len(genres))))
    smoothed = (1 - alpha) * q + alpha * p
    quotient = np.divide(p, smoothed, out=np.ones_like(p), where=p > 0)  # 0 log 0 is 0
    return (p * np.log(quotient)).sum(axis=1)

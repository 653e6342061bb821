"""The columns of an index: which values they may hold, and their check before they are written."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from segue.errors import InputError

CODES = 62  # markets or types that have a bit in an int64; bit 62 stands for none of them, bit 63 is the sign
EVERYWHERE = np.int64(-1)  # markets of an item that is available in every market: all bits


def checked_columns(
    dim: int,
    ids: Sequence[str],
    embeddings: np.ndarray,
    release_ts: np.ndarray,
    content_type: np.ndarray,
    markets: np.ndarray,
) -> dict[str, np.ndarray]:
    """Check the columns of items and convert them to the types of the variables, by the variables' names.

    `release_ts` comes last, because a free row becomes visible to searches when its release is written.

    Raises:
        InputError: a column has the wrong shape or type or a value out of range, or an id is empty or repeats.
    """
    numbers = {"content_type": content_type, "markets": markets, "release_ts": release_ts}
    numbers = {name: np.asarray(values) for name, values in numbers.items()}
    with np.errstate(over="ignore"):  # numbers beyond float32 become infinite and are refused below
        embeddings = np.asarray(embeddings, np.float32)
    if embeddings.shape != (len(ids), dim):
        raise InputError(
            f"`embeddings` must be [ids, dim] = {[len(ids), dim]}; they are {list(embeddings.shape)}.",
            "Embed the items with the model that the index belongs to.",
        )
    for name, values in numbers.items():
        if values.shape != (len(ids),) or (len(ids) and not np.issubdtype(values.dtype, np.integer)):
            raise InputError(
                f"`{name}` must be {len(ids)} integers; it is {values.dtype}{list(values.shape)}.",
                "Give one integer for each id.",
            )
    counts = Counter(ids)
    require("ids", ids, [not item for item in ids], "not be empty")
    require("ids", ids, [counts[item] > 1 for item in ids], "be distinct")
    require("embeddings", ids, ~np.isfinite(embeddings).all(axis=1), "be finite")
    outside = (numbers["content_type"] < 0) | (numbers["content_type"] > CODES)
    require("content_type", ids, outside, f"lie from 0 to {CODES}")
    outside = (numbers["markets"] < EVERYWHERE) | (numbers["markets"] >= 1 << CODES)
    require("markets", ids, outside, f"be {EVERYWHERE} or set only the lowest {CODES} bits")
    return {
        "ids": np.array([item.encode() for item in ids], object),
        "embeddings": embeddings,
        "content_type": numbers["content_type"].astype(np.int32),
        "markets": numbers["markets"].astype(np.int64),
        "release_ts": numbers["release_ts"].astype(np.int64),
    }


def require(name: str, ids: Sequence[str], broken: Sequence[bool] | np.ndarray, rule: str) -> None:
    """Check a rule that every item must keep.

    Args:
        name: the column's name.
        ids: ids of the items, `[n]`.
        broken: whether each item breaks the rule, bool `[n]`.
        rule: the rule, in words that follow "must".

    Raises:
        InputError: an item breaks the rule; the error names the first such item and their number.
    """
    wrong = np.flatnonzero(broken)
    if len(wrong):
        raise InputError(
            f"`{name}` must {rule}; item {wrong[0]}, {ids[wrong[0]]!r}, breaks this rule (the first of {len(wrong)}).",
            "Correct these items or leave them out.",
        )

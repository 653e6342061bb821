"""The candidate lists that the ranking model orders: their sizes, and the score of an item that a model did not find.

The ranking model's choice head is fitted on such lists (`models.ranking.two_stage`) and served with such lists
(`surfaces`). Neither room may import the other, so the rules that both must follow are here.
"""

import numpy as np

RETRIEVAL_CANDIDATES = 200
SEQUENCE_CANDIDATES = 100
NEW_RELEASE_CANDIDATES = 50  # added at a request only: the lists of training have none


def fill_missing(scores: np.ndarray, listed: np.ndarray | None = None) -> np.ndarray:
    """Replace minus infinity, which marks an item that the model did not find, by the least score of the list.

    An item that a model did not find scores at most as much as the last item that it found. Example: `[3, -inf, 1]`
    becomes `[3, 1, 1]`. A list without any item gives 0.

    Args:
        scores: a model's scores of the candidates, `[..., n]`.
        listed: the scores of the list that sets the least score, `[..., k]`; `scores` itself if None.

    Returns:
        float32 `[..., n]`.
    """
    listed = scores if listed is None else listed
    least = np.where(np.isfinite(listed), listed, np.inf).min(axis=-1, keepdims=True, initial=np.inf)
    least = np.where(np.isfinite(least), least, 0.0)
    return np.where(np.isfinite(scores), scores, least).astype(np.float32)

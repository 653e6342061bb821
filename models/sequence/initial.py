"""Where training begins: items that the same listeners had begin near each other.

A transformer learns from a few entries of an item hardly what the item is like; what is had together says it in closed
form. Of sequences of ten entries this makes the difference between worse and better than item-to-item weights.
"""

import numpy as np
from scipy.sparse import csr_matrix, diags
from sklearn.utils.extmath import randomized_svd

from models.inputs.towers import SPREAD
from models.sequence.histories import Histories
from models.sequence.model import SequenceModel

ITERATIONS = 5  # of the power method
PRIOR = 1.0  # entries added to each listener's and item's: what has few of them is not all there is to a direction


def co_listening(histories: Histories, rows: int, dim: int, seed: int) -> np.ndarray:
    """Vectors of items by truncated SVD (Halko et al., SIAM Review 2011) of who chose what.

    An entry counts 1 over the roots of how many its listener and its item have, as in the normalized Laplacian; a
    direction counts by the root of its singular value.

    Args:
        histories: of the train span.
        rows: of the catalogue.
        dim: width of the vectors, at most; there are no more than listeners or items.
        seed: of the random projection.

    Returns:
        float32 `[rows, width]`; zeros for what nobody chose. The root of the mean square of the others is `SPREAD`.
    """
    listener = np.repeat(np.arange(len(histories)), np.diff(histories.offsets))[histories.target]
    item = histories.item[histories.target]
    had = csr_matrix((np.ones(len(item), np.float32), (listener, item)), shape=(len(histories), rows))
    had.data[:] = 1  # again says no more
    scale = [diags((np.asarray(had.sum(axis)).ravel() + PRIOR) ** -0.5) for axis in (1, 0)]
    width = min(dim, *had.shape)
    _, strength, directions = randomized_svd(scale[0] @ had @ scale[1], width, n_iter=ITERATIONS, random_state=seed)
    vectors = directions.T * np.sqrt(strength)
    chosen = np.bincount(item, minlength=rows) > 0
    size = np.sqrt(np.mean(vectors[chosen] ** 2))
    return np.where(chosen[:, None], vectors * (SPREAD / max(size, 1e-12)), 0).astype(np.float32)


def begin(model: SequenceModel, histories: Histories, seed: int) -> None:
    """Put a new model's items of the vocabulary where `co_listening` has them; those that nobody has had, nowhere:
    nothing moves them in training, so that their content alone speaks for them. So begins what is unknown where items
    are ids alone."""
    ids = model.encoder.catalogue.item_ids.numpy()[:, 0]  # of each row of the catalogue
    vectors = co_listening(histories, len(ids), model.config.dim, seed)
    table = model.items.embeddings[0].embeddings
    values = table.numpy()
    buckets = model.encoder.lookups["item_id"].buckets
    known = vectors.any(axis=1) & (ids > buckets)
    values[ids[known], : vectors.shape[1]] = vectors[known]
    never = (np.bincount(histories.item, minlength=len(ids)) == 0) & (ids > buckets)
    values[ids[never]] = 0
    if not model.content:
        values[1 : 1 + buckets] = 0
    table.assign(values)

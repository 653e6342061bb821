"""Initial item embeddings by co-listening: items that the same listeners chose start near each other.

A transformer learns little about an item from a few entries. A truncated SVD of who chose what gives its neighbourhood
in closed form. On sequences of ten entries the sequence model is better than item-to-item weights with this start and
worse without.
"""

import numpy as np
from scipy.sparse import csr_matrix, diags
from sklearn.utils.extmath import randomized_svd

from models.inputs.towers import SPREAD
from models.sequence.histories import Histories
from models.sequence.model import SequenceModel

ITERATIONS = 5  # of the power method
PRIOR = 1.0  # is added to each listener's and item's number of entries, so that rare ones do not dominate a direction


def co_listening(histories: Histories, rows: int, dim: int, seed: int) -> np.ndarray:
    """Compute item vectors by truncated SVD (Halko et al., SIAM Review 2011) of the matrix of listeners and items.

    Each entry is divided by the square roots of its listener's and its item's number of entries, as in the normalized
    Laplacian. Each direction is scaled by the square root of its singular value.

    Args:
        histories: histories of the train span.
        rows: number of rows of the catalogue.
        dim: largest width of the vectors; the width is smaller if there are fewer listeners or rows.
        seed: seed of the random projection.

    Returns:
        float32 `[rows, width]`; zeros for items that nobody chose. The root mean square of the others is `SPREAD`.
    """
    listener = np.repeat(np.arange(len(histories)), np.diff(histories.offsets))[histories.target]
    item = histories.item[histories.target]
    choices = csr_matrix((np.ones(len(item), np.float32), (listener, item)), shape=(len(histories), rows))
    choices.data[:] = 1  # choosing an item again counts no more
    scale = [diags((np.asarray(choices.sum(axis)).ravel() + PRIOR) ** -0.5) for axis in (1, 0)]
    width = min(dim, *choices.shape)
    _, strength, directions = randomized_svd(scale[0] @ choices @ scale[1], width, n_iter=ITERATIONS, random_state=seed)
    vectors = directions.T * np.sqrt(strength)
    chosen = np.bincount(item, minlength=rows) > 0
    size = np.sqrt(np.mean(vectors[chosen] ** 2))
    return np.where(chosen[:, None], vectors * (SPREAD / max(size, 1e-12)), 0).astype(np.float32)


def begin(model: SequenceModel, histories: Histories, seed: int) -> None:
    """Initialise the id embeddings of a new model by `co_listening`.

    Items without an entry start at zero. Training does not move their embeddings, so their content alone describes
    them. If items have no content, the out-of-vocabulary rows start at zero too.

    Args:
        model: its weights are made.
        histories: histories of the train span.
        seed: seed of the random projection.
    """
    ids = model.encoder.catalogue.item_ids.numpy()[:, 0]  # embedding row of each row of the catalogue
    vectors = co_listening(histories, len(ids), model.config.dim, seed)
    table = model.items.embeddings[0].embeddings
    values = table.numpy()
    buckets = model.encoder.lookups["item_id"].buckets
    chosen = vectors.any(axis=1) & (ids > buckets)
    values[ids[chosen], : vectors.shape[1]] = vectors[chosen]
    absent = (np.bincount(histories.item, minlength=len(ids)) == 0) & (ids > buckets)
    values[ids[absent]] = 0
    if not model.content:
        values[1 : 1 + buckets] = 0
    table.assign(values)

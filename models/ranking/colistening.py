"""Which items the same listeners play: sparse item-to-item weights, the strongest of a linear model in closed form.

Two towers squeeze every item into one short vector; what two particular items have in common gets lost in it. These
weights keep it for the pairs that matter, as a figure for the choice head.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import tensorflow as tf

from models.evaluation.baselines import EASE, Interactions
from models.inputs.catalogue import Catalogue

MOST_PLAYED = 10_000  # items that have weights: those with the most listeners; memory is quadratic in them
NEIGHBOURS = 100  # weights of each item that are kept
REGULARIZATION = 200.0


class CoListening(tf.Module):
    """What each item of a history says of each candidate.

    Variables: `neighbours` int32 `[rows, 100]`, rows of the catalogue; `weights` float32 `[rows, 100]`, 0 where
    nothing is known.

    Args:
        rows: of the catalogue.
    """

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.neighbours = tf.Variable(tf.zeros([rows, NEIGHBOURS], tf.int32), trainable=False)
        self.weights = tf.Variable(tf.zeros([rows, NEIGHBOURS]), trainable=False)

    def scores(self, history: tf.Tensor, importance: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        """Sums of the weights from the history to each candidate, `[b, n]`.

        Args:
            history: rows `[b, h]`.
            importance: of each entry, float `[b, h]`; 0 leaves it out.
            candidates: rows `[b, n]`.
        """
        batch, rows = tf.shape(history)[0], self.weights.shape[0]
        said = tf.gather(self.weights, history) * importance[..., None]  # [b, h, 100]
        request = tf.broadcast_to(tf.range(batch)[:, None, None], tf.shape(said))
        flat = tf.reshape(request * rows + tf.gather(self.neighbours, history), [-1])
        total = tf.math.unsorted_segment_sum(tf.reshape(said, [-1]), flat, batch * rows)
        return tf.gather(tf.reshape(total, [batch, rows]), candidates, batch_dims=1)

    def fit(self, user: np.ndarray, item: np.ndarray) -> None:
        """Take the weights from who played what.

        Args:
            user: of each play, from 0 `[n]`.
            item: its row in the catalogue, from 1 `[n]`.
        """
        pairs = np.unique(np.stack([user, item]).astype(np.int64), axis=1)
        listeners = np.bincount(pairs[1])
        chosen = np.sort(np.argsort(-listeners, kind="stable")[:MOST_PLAYED])
        chosen = chosen[listeners[chosen] > 0]
        place = np.full(len(listeners), -1)
        place[chosen] = np.arange(len(chosen))
        user, own = pairs[0], place[pairs[1]]
        user, own = user[own >= 0], own[own >= 0]
        log = Interactions(user, own, np.zeros(len(own), np.int64), int(user.max()) + 1, len(chosen))
        neighbours, weights = strongest(EASE(REGULARIZATION).fit(log).weights)
        count = neighbours.shape[1]
        tables = (self.neighbours.numpy(), self.weights.numpy())
        for table, values in zip(tables, (chosen[neighbours], weights), strict=True):
            table[:] = 0
            table[chosen, :count] = values
        self.neighbours.assign(tables[0])
        self.weights.assign(tables[1])


def strongest(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The columns of the largest absolute values of each row, at most 100, and the values: `[n, k]` each."""
    count = min(NEIGHBOURS, weights.shape[1])
    columns, values = [], []
    for start in range(0, len(weights), 1024):
        block = weights[start : start + 1024]
        top = np.argpartition(-np.abs(block), count - 1, axis=1)[:, :count]
        columns.append(top)
        values.append(np.take_along_axis(block, top, axis=1))
    return np.concatenate(columns), np.concatenate(values)


def plays(tables: Iterable[pa.Table], catalogue: Catalogue) -> tuple[np.ndarray, np.ndarray]:
    """Distinct pairs of listener and item among the positives of a training set's tables, for `CoListening.fit`.

    Args:
        tables: chunks with `user_id`, `item_id`, `positive`.
        catalogue: whose rows the items have.
    """
    numbers: dict[str, int] = {}
    found = [np.zeros(0, np.int64)]
    width = catalogue.release_ts.shape[0]
    for chunk in tables:
        kept = chunk.filter(chunk["positive"])
        coded = kept["user_id"].combine_chunks().dictionary_encode()
        own = np.array([numbers.setdefault(u, len(numbers)) for u in coded.dictionary.to_pylist()], np.int64)
        pair = own[coded.indices.to_numpy()] * width + catalogue.encode(kept["item_id"])
        found.append(np.unique(pair))
    user, item = np.divmod(np.unique(np.concatenate(found)), width)
    return user[item > 0], item[item > 0]

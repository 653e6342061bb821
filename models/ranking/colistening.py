"""Co-listening: how strongly playing one item predicts playing another, as sparse item-to-item weights.

The two towers of retrieval reduce every item to one short vector, which cannot hold the relation of every pair.
These weights are the largest of EASE, a linear model with a closed-form solution. The choice head uses them.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import tensorflow as tf

from models.evaluation.baselines import EASE, Interactions
from models.inputs.catalogue import Catalogue

MOST_PLAYED = 10_000  # only the items with the most listeners have weights, because EASE's memory is quadratic in them
NEIGHBOURS = 100  # the largest weights of each item that are kept
REGULARIZATION = 200.0


class CoListening(tf.Module):
    """Scores candidates by the co-listening weights from the items of a history.

    Variables: `neighbours` int32 `[rows, 100]` are the catalogue rows of each item's neighbours, and `weights` float32
    `[rows, 100]` their weights, 0 where an item has fewer.

    Args:
        rows: the number of rows of the catalogue.
    """

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.neighbours = tf.Variable(tf.zeros([rows, NEIGHBOURS], tf.int32), trainable=False)
        self.weights = tf.Variable(tf.zeros([rows, NEIGHBOURS]), trainable=False)

    def scores(self, history: tf.Tensor, importance: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        """Sum the weights from the entries of the history to each candidate, `[b, n]`.

        Args:
            history: catalogue rows `[b, h]`.
            importance: the factor of each entry, float `[b, h]`; 0 leaves an entry out.
            candidates: catalogue rows `[b, n]`.
        """
        batch, rows = tf.shape(history)[0], self.weights.shape[0]
        contributions = tf.gather(self.weights, history) * importance[..., None]  # [b, h, 100]
        request = tf.broadcast_to(tf.range(batch)[:, None, None], tf.shape(contributions))
        flat = tf.reshape(request * rows + tf.gather(self.neighbours, history), [-1])
        total = tf.math.unsorted_segment_sum(tf.reshape(contributions, [-1]), flat, batch * rows)
        return tf.gather(tf.reshape(total, [batch, rows]), candidates, batch_dims=1)

    def fit(self, user: np.ndarray, item: np.ndarray) -> None:
        """Fit the weights to plays.

        Args:
            user: the listener of each play, a number from 0, `[n]`.
            item: the catalogue row of the item, from 1, `[n]`.
        """
        pairs = np.unique(np.stack([user, item]).astype(np.int64), axis=1)
        listeners = np.bincount(pairs[1])
        chosen = np.sort(np.argsort(-listeners, kind="stable")[:MOST_PLAYED])
        chosen = chosen[listeners[chosen] > 0]
        place = np.full(len(listeners), -1)
        place[chosen] = np.arange(len(chosen))
        user, column = pairs[0], place[pairs[1]]
        user, column = user[column >= 0], column[column >= 0]
        log = Interactions(user, column, np.zeros(len(column), np.int64), int(user.max()) + 1, len(chosen))
        neighbours, weights = strongest(EASE(REGULARIZATION).fit(log).weights)
        count = neighbours.shape[1]
        tables = (self.neighbours.numpy(), self.weights.numpy())
        for table, values in zip(tables, (chosen[neighbours], weights), strict=True):
            table[:] = 0
            table[chosen, :count] = values
        self.neighbours.assign(tables[0])
        self.weights.assign(tables[1])


def strongest(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns and the values of the 100 largest absolute values of each row: `[n, k]` each."""
    count = min(NEIGHBOURS, weights.shape[1])
    columns, values = [], []
    for start in range(0, len(weights), 1024):
        block = weights[start : start + 1024]
        top = np.argpartition(-np.abs(block), count - 1, axis=1)[:, :count]
        columns.append(top)
        values.append(np.take_along_axis(block, top, axis=1))
    return np.concatenate(columns), np.concatenate(values)


def plays(tables: Iterable[pa.Table], catalogue: Catalogue) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct pairs of listener and item among a training set's positives, for `CoListening.fit`.

    Args:
        tables: chunks with the columns `user_id`, `item_id` and `positive`.
        catalogue: gives the items their rows.
    """
    numbers: dict[str, int] = {}
    pairs = [np.zeros(0, np.int64)]
    width = catalogue.release_ts.shape[0]
    for chunk in tables:
        kept = chunk.filter(chunk["positive"])
        coded = kept["user_id"].combine_chunks().dictionary_encode()
        own = np.array([numbers.setdefault(u, len(numbers)) for u in coded.dictionary.to_pylist()], np.int64)
        pairs.append(np.unique(own[coded.indices.to_numpy()] * width + catalogue.encode(kept["item_id"])))
    user, item = np.divmod(np.unique(np.concatenate(pairs)), width)
    return user[item > 0], item[item > 0]

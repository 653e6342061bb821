"""The mapping from string ids to embedding rows, shared by training and the SavedModel."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import tensorflow as tf

PADDING = 0  # the row of the empty string, which fills lists and stands for a missing value


class Lookup(tf.Module):
    """A vocabulary with hashed out-of-vocabulary rows, so that a model can embed ids that training never saw.

    Row 0 is the empty string. Rows 1 to `buckets` are shared by unknown ids, which FarmHash Fingerprint64 assigns. The
    tokens follow from row `buckets + 1`. `drop_ids` trains the out-of-vocabulary rows along with the others.

    Args:
        tokens: distinct strings in a fixed order.
        buckets: number of out-of-vocabulary rows.
    """

    def __init__(self, tokens: Iterable[str], buckets: int = 1) -> None:
        super().__init__()
        self.tokens = list(tokens)
        self.buckets = buckets
        # TensorFlow cannot build an empty table, so an empty vocabulary holds the empty string.
        keys = tf.constant(self.tokens or [""], tf.string)
        rows = tf.range(buckets + 1, buckets + 1 + tf.size(keys), dtype=tf.int32)
        self._table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, rows), -1)

    @property
    def size(self) -> int:
        """The number of rows that an embedding over this vocabulary needs."""
        return 1 + self.buckets + max(len(self.tokens), 1)

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        """Rows of `ids` (string, any shape), int32 of the same shape."""
        token_rows = self._table.lookup(ids)  # -1 for ids outside the vocabulary
        rows = tf.where(token_rows >= 0, token_rows, self.unknown(ids))
        return tf.where(tf.equal(ids, ""), PADDING, rows)

    def unknown(self, ids: tf.Tensor) -> tf.Tensor:
        """The out-of-vocabulary rows that `ids` hash into, for tokens of the vocabulary too; int32 of their shape."""
        return 1 + tf.cast(tf.strings.to_hash_bucket_fast(ids, self.buckets), tf.int32)

    def encode(self, ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Rows of an Arrow string array `[n]`, int32 `[n]`; null counts as the empty string."""
        values = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
        dictionary = values.dictionary_encode()
        rows = self(tf.constant([*dictionary.dictionary.to_pylist(), ""], tf.string)).numpy()
        return rows[dictionary.indices.fill_null(len(rows) - 1).to_numpy(zero_copy_only=False)]

    def unknown_rows(self) -> np.ndarray:
        """The out-of-vocabulary row that each row's token hashes into, int32 `[size]`.

        Padding and the out-of-vocabulary rows map to themselves.
        """
        hashed = self.unknown(tf.constant(self.tokens or [""], tf.string)).numpy()
        return np.concatenate([np.arange(self.buckets + 1), hashed]).astype(np.int32)


def drop_ids(rows: tf.Tensor, unknown_rows: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Replace a random share of ids by their out-of-vocabulary rows (id dropout).

    This trains the rows that new items will use, and makes the model rely on content where it has no id. See
    DropoutNet, Volkovs et al., NeurIPS 2017.

    Args:
        rows: rows of a `Lookup`, int32 of any shape.
        unknown_rows: what `Lookup.unknown_rows` returns, int32 `[size]`.
        rate: share of ids that are replaced, from 0 to 1.
        seed: seed of the draws, int `[2]`.

    Returns:
        int32 of the shape of `rows`.
    """
    dropped = tf.random.stateless_uniform(tf.shape(rows), seed) < rate
    return tf.where(dropped, tf.gather(unknown_rows, rows), rows)

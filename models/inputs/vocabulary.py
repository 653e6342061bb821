"""String ids to embedding rows, by one definition in training and in the SavedModel."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import tensorflow as tf

PADDING = 0  # the row of the empty string: nothing was there


class Lookup(tf.Module):
    """A vocabulary with hashed out-of-vocabulary rows.

    Row 0 is the empty string, rows `1..buckets` hold unknown ids by FarmHash Fingerprint64, the
    known tokens follow. Unknown rows are trained too (`drop_ids`), so they carry meaning.

    Args:
        tokens: distinct, in a fixed order.
        buckets: out-of-vocabulary rows.
    """

    def __init__(self, tokens: Iterable[str], buckets: int = 1) -> None:
        super().__init__()
        self.tokens = list(tokens)
        self.buckets = buckets
        # A table of at least one key: TensorFlow cannot build an empty one.
        keys = tf.constant(self.tokens or [""], tf.string)
        rows = tf.range(buckets + 1, buckets + 1 + tf.size(keys), dtype=tf.int32)
        self._table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, rows), -1)

    @property
    def size(self) -> int:
        """Rows that an embedding over this lookup needs."""
        return 1 + self.buckets + max(len(self.tokens), 1)

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        """Rows of `ids` (string, any shape), int32 of the same shape."""
        known = self._table.lookup(ids)
        rows = tf.where(known >= 0, known, self.unknown(ids))
        return tf.where(tf.equal(ids, ""), PADDING, rows)

    def unknown(self, ids: tf.Tensor) -> tf.Tensor:
        """The out-of-vocabulary rows of `ids`, whether they are known or not."""
        return 1 + tf.cast(tf.strings.to_hash_bucket_fast(ids, self.buckets), tf.int32)

    def encode(self, ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Rows of an Arrow string array `[n]`, int32 `[n]`; null counts as the empty string."""
        values = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
        coded = values.dictionary_encode()
        rows = self(tf.constant([*coded.dictionary.to_pylist(), ""], tf.string)).numpy()
        return rows[coded.indices.fill_null(len(rows) - 1).to_numpy(zero_copy_only=False)]

    def unknown_rows(self) -> np.ndarray:
        """For each row, the out-of-vocabulary row of its token `[size]`; padding stays padding."""
        hashed = self.unknown(tf.constant(self.tokens or [""], tf.string)).numpy()
        return np.concatenate([np.arange(self.buckets + 1), hashed]).astype(np.int32)


def drop_ids(rows: tf.Tensor, unknown_rows: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Replace a random share `rate` of ids by their out-of-vocabulary rows (id dropout).

    Trains the rows that new items will fall into, and makes content carry what the id carried.
    DropoutNet, Volkovs et al., NeurIPS 2017.
    """
    dropped = tf.random.stateless_uniform(tf.shape(rows), seed) < rate
    return tf.where(dropped, tf.gather(unknown_rows, rows), rows)

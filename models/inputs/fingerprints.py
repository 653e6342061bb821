"""Item ids to rows without a hash table, so that items can be added to a SavedModel.

The contents of TensorFlow's tables are fixed when a model is exported, or are no part of it; a variable can be
assigned and saved again.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import tensorflow as tf

from segue.errors import InputError

RANGE = 2**62  # fingerprints lie from 0 up to this
NOTHING = RANGE  # where no id is: after all fingerprints


class Fingerprints(tf.Module):
    """Which row an id has.

    An id is known by 62 bits of its FarmHash Fingerprint64, which is the same in every process. That two of a
    million ids share them has a chance of one in nine million, and is found out when they are added. That a
    stranger passes for one of a million has a chance of one in four million millions.

    Variables, both `[size]` and in the order of fingerprints: `fingerprints` int64; `rows_of` int32.

    Args:
        state: what has these variables and shares them from now on, such as the fingerprints of a SavedModel that
            was loaded. `build` starts from ids.
    """

    def __init__(self, state: Any) -> None:
        super().__init__()
        self.fingerprints = state.fingerprints
        self.rows_of = state.rows_of

    @classmethod
    def build(cls, ids: Sequence[str], capacity: int) -> Self:
        """Fingerprints of n ids, which have the rows 1 to n in this order.

        Args:
            ids: distinct, none empty.
            capacity: how many ids can be added later.

        Raises:
            InputError: an id is empty or repeats, or two have the same fingerprint.
        """
        if capacity < 0:
            raise InputError(f"`capacity` must be at least 0; it is {capacity}.", "Say how many ids may follow.")
        size = max(len(ids) + capacity, 1)  # of at least one: nothing can be gathered from none
        state = SimpleNamespace(
            fingerprints=tf.Variable(tf.fill([size], tf.constant(NOTHING, tf.int64)), trainable=False),
            rows_of=tf.Variable(tf.zeros([size], tf.int32), trainable=False),
        )
        built = cls(state)
        built.add(ids, np.arange(1, len(ids) + 1))
        return built

    @property
    def free(self) -> int:
        """How many ids can still be added."""
        return int((self.fingerprints.numpy() == NOTHING).sum())

    def rows(self, ids: tf.Tensor) -> tf.Tensor:
        """Rows of `ids` (string, any shape), int32 of the same shape; 0 for unknown ones and for ''."""
        wanted = tf.reshape(fingerprints(ids), [-1])
        places = tf.searchsorted(self.fingerprints, wanted)
        places = tf.minimum(places, self.fingerprints.shape[0] - 1)
        known = tf.equal(tf.gather(self.fingerprints, places), wanted)
        rows = tf.reshape(tf.where(known, tf.gather(self.rows_of, places), 0), tf.shape(ids))
        return tf.where(tf.equal(ids, ""), 0, rows)

    def add(self, ids: Sequence[str], rows: np.ndarray) -> None:
        """Add ids; all of them or, on an error, none.

        Args:
            ids: distinct, none empty. One that is known already must come with the row that it has.
            rows: above 0, int32 `[n]`.

        Raises:
            InputError: more new ids than free places; an id is empty, repeats, or has the fingerprint of another.
        """
        rows = np.asarray(rows)
        if rows.shape != (len(ids),) or (rows < 1).any() or len(np.unique(rows)) < len(ids):
            raise InputError(
                f"Rows must be one for each of {len(ids)} ids, distinct and above 0; they are {rows.tolist()[:5]}, ….",
                "Give each id a row of its own.",
            )
        if len(set(ids)) < len(ids) or "" in ids:
            raise InputError("Ids must be distinct and not empty; one repeats or is ''.", "Give each item once.")
        held = self.fingerprints.numpy()
        row_of = dict(zip(held.tolist(), self.rows_of.numpy().tolist(), strict=True))
        row_of.pop(NOTHING, None)
        given = fingerprints(tf.constant(list(ids), tf.string)).numpy()
        for item, fingerprint, row in zip(ids, given.tolist(), rows.tolist(), strict=True):
            # Whose fingerprint it was is not known any more, but an id keeps its row as long as the model lives.
            if row_of.setdefault(fingerprint, row) != row:
                raise InputError(
                    f"An id keeps its row and no two share a fingerprint; {item!r}, for row {row}, has that of "
                    f"row {row_of[fingerprint]}.",
                    "Give it the row that it has, or, if it is new, another id.",
                )
        if len(row_of) > len(held):
            raise InputError(
                f"There is room for {len(held)} ids; with these they are {len(row_of)}.",
                "Export the model anew with more room.",
            )
        order = sorted(row_of)
        room = len(held) - len(order)
        self.rows_of.assign(np.array([*(row_of[key] for key in order), *[0] * room], np.int32))
        self.fingerprints.assign(np.array([*order, *[NOTHING] * room], np.int64))


def fingerprints(ids: tf.Tensor) -> tf.Tensor:
    """Fingerprints of `ids` (string, any shape), int64 of the same shape."""
    return tf.strings.to_hash_bucket_fast(ids, RANGE)

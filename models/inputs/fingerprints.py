"""A map from item ids to rows that is held in variables, so that items can be added to a SavedModel.

TensorFlow's static hash tables are fixed when a model is exported, and the contents of its mutable tables are not part
of a SavedModel. Variables can be assigned and saved again.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import tensorflow as tf

from segue.errors import InputError

RANGE = 2**62  # fingerprints lie from 0 to RANGE - 1
NOTHING = RANGE  # marks a free place; it sorts after every fingerprint


class Fingerprints(tf.Module):
    """Finds the row of an id by binary search over sorted 62-bit fingerprints.

    The fingerprint is taken from FarmHash Fingerprint64, which is the same in every process. Among a million ids, two
    share a fingerprint with a probability of one in nine million; `add` refuses the second. An unknown id has the
    fingerprint of one of a million ids with a probability of one in 4.6 million million, and then gets its row.

    Variables, both `[size]` and sorted by fingerprint: `fingerprints` int64; `rows_of` int32.

    Args:
        state: an object with these two variables, such as the fingerprints of a loaded SavedModel. They are shared, so
            `add` changes that object too. Use `build` to start from ids.
    """

    def __init__(self, state: Any) -> None:
        super().__init__()
        self.fingerprints = state.fingerprints
        self.rows_of = state.rows_of

    @classmethod
    def build(cls, ids: Sequence[str], capacity: int) -> Self:
        """Build a map that gives n ids the rows 1 to n in their order.

        Args:
            ids: distinct, none empty.
            capacity: number of ids that can be added later.

        Raises:
            InputError: an id is empty or repeats, two ids have the same fingerprint, or `capacity` is negative.
        """
        if capacity < 0:
            raise InputError(
                f"`capacity` must be at least 0; it is {capacity}.", "Give the number of ids to add later."
            )
        size = max(len(ids) + capacity, 1)  # nothing can be gathered from an empty variable
        state = SimpleNamespace(
            fingerprints=tf.Variable(tf.fill([size], tf.constant(NOTHING, tf.int64)), trainable=False),
            rows_of=tf.Variable(tf.zeros([size], tf.int32), trainable=False),
        )
        built = cls(state)
        built.add(ids, np.arange(1, len(ids) + 1))
        return built

    @property
    def free(self) -> int:
        """The number of ids that can still be added."""
        return int((self.fingerprints.numpy() == NOTHING).sum())

    def rows(self, ids: tf.Tensor) -> tf.Tensor:
        """Rows of `ids` (string, any shape), int32 of the same shape; 0 for unknown ids and for ''."""
        sought = tf.reshape(fingerprints(ids), [-1])
        places = tf.searchsorted(self.fingerprints, sought)
        places = tf.minimum(places, self.fingerprints.shape[0] - 1)
        equal = tf.equal(tf.gather(self.fingerprints, places), sought)
        rows = tf.reshape(tf.where(equal, tf.gather(self.rows_of, places), 0), tf.shape(ids))
        return tf.where(tf.equal(ids, ""), 0, rows)

    def add(self, ids: Sequence[str], rows: np.ndarray) -> None:
        """Add ids with their rows. If an error is raised, no id is added.

        Args:
            ids: distinct, none empty. An id that was added before must come with its row.
            rows: distinct and above 0, int32 `[n]`.

        Raises:
            InputError: there are more new ids than free places, rows that are not distinct or not above 0, or an id
                that is empty, repeats, or has the fingerprint of another id.
        """
        rows = np.asarray(rows)
        if rows.shape != (len(ids),) or (rows < 1).any() or len(np.unique(rows)) < len(ids):
            raise InputError(
                f"Each of {len(ids)} ids needs one row, distinct and above 0. Received rows {rows.tolist()[:5]}, ….",
                "Give each id a row of its own.",
            )
        if len(set(ids)) < len(ids) or "" in ids:
            raise InputError("Ids must be distinct and not empty. An id repeats or is ''.", "Give each item once.")
        places = self.fingerprints.numpy()
        row_of = dict(zip(places.tolist(), self.rows_of.numpy().tolist(), strict=True))
        row_of.pop(NOTHING, None)
        new = fingerprints(tf.constant(list(ids), tf.string)).numpy()
        for item, fingerprint, row in zip(ids, new.tolist(), rows.tolist(), strict=True):
            # The model keeps no ids, only fingerprints and rows: the same fingerprint in another row is a collision
            # or a wrong row, and both are refused.
            if row_of.setdefault(fingerprint, row) != row:
                raise InputError(
                    "An id keeps its row, and two ids must not share a fingerprint. The fingerprint of "
                    f"{item!r}, given for row {row}, belongs to row {row_of[fingerprint]}.",
                    "Give the id the row that it has. If the id is new, choose another id.",
                )
        if len(row_of) > len(places):
            raise InputError(
                f"The model has room for {len(places)} ids. Adding these would make {len(row_of)}.",
                "Export the model anew, which makes room for more.",
            )
        order = sorted(row_of)
        free = len(places) - len(order)
        self.rows_of.assign(np.array([*(row_of[key] for key in order), *[0] * free], np.int32))
        self.fingerprints.assign(np.array([*order, *[NOTHING] * free], np.int64))


def fingerprints(ids: tf.Tensor) -> tf.Tensor:
    """Fingerprints of `ids` (string, any shape), int64 of the same shape."""
    return tf.strings.to_hash_bucket_fast(ids, RANGE)

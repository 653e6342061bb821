"""The index inside a SavedModel: the items' embeddings, what requests filter by, and an exact top-k search.

It is made of stock operations on variables. So stock TensorFlow Serving can load it, and items can be added to a saved
model without training or exporting it again.
"""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import tensorflow as tf

from models.saved.index_columns import CODES, checked_columns
from segue.errors import InputError

GROUP = 32  # candidates in a group, about sqrt(rows / k), which balances the two top-k passes of `best`
ALL_BITS = np.int64(-1)
NEVER = np.int64(2**63 - 1)  # release of a free row, which is later than any request
ANY = np.int64(-(2**63))  # a bound on the release that every item meets


class Index(tf.Module):
    """The items that a model can recommend: embeddings for the scores, and the columns that requests filter by.

    Filters are applied inside the model, so a request gets k items that it may show, and not k items of which some
    have to be dropped. Row 0 stands for no item. The items of the export follow (main), then free rows for items that
    are added later (delta), then rows that fill the last group. A row without an item has the id ''.

    Variables: `embeddings` float32 `[rows, dim]`; `ids` string `[rows]`; `release_ts` int64 `[rows]`, seconds
    since 1970 UTC, 0 if unknown; `content_type` int32 `[rows]`, 0 if unknown; `markets` int64 `[rows]`, bit n
    for the market of number n + 1; `delta` int32 `[2]`, the first row of the delta and the row after its last.

    Args:
        state: an object with these variables, such as the index of a loaded SavedModel. They are shared: after
            `Index(loaded.index).add(...)`, save `loaded` again. Use `build` to start from arrays.
    """

    def __init__(self, state: Any) -> None:
        super().__init__()
        self.embeddings = state.embeddings
        self.ids = state.ids
        self.release_ts = state.release_ts
        self.content_type = state.content_type
        self.markets = state.markets
        self.delta = state.delta

    @classmethod
    def build(
        cls,
        ids: Sequence[str],
        embeddings: np.ndarray,
        release_ts: np.ndarray,
        content_type: np.ndarray,
        markets: np.ndarray,
        capacity: int,
    ) -> Self:
        """Build an index that gives n items the rows 1 to n in their order.

        Args:
            ids: distinct, none empty.
            embeddings: float32 `[n, dim]`.
            release_ts: int64 `[n]`, seconds since 1970 UTC, 0 if unknown.
            content_type: int32 `[n]`, from 0 (unknown) to 62.
            markets: int64 `[n]`, a bit for each market where the item is available, or
                `index_columns.EVERYWHERE`.
            capacity: number of items that can be added later.

        Raises:
            InputError: a column has the wrong shape or type or a value out of range, or `capacity` is negative.
        """
        item_columns = checked_columns(np.shape(embeddings)[-1], ids, embeddings, release_ts, content_type, markets)
        if capacity < 0:
            raise InputError(
                f"`capacity` must be at least 0; it is {capacity}.", "Give the number of items to add later."
            )
        first = 1 + len(ids)
        after = capacity + -(first + capacity) % GROUP  # free rows and the rows that fill the last group
        empty: dict[str, Any] = {"ids": b"", "release_ts": NEVER}
        state = SimpleNamespace(delta=tf.Variable([first, first + capacity], trainable=False))
        for name, values in item_columns.items():
            widths = [(1, after), (0, 0)][: values.ndim]
            padded = np.pad(values, widths, constant_values=empty.get(name, 0))
            setattr(state, name, tf.Variable(padded, trainable=False))
        return cls(state)

    @property
    def free(self) -> int:
        """The number of new items that can still be added."""
        return len(self._free_rows(self.ids.numpy()))

    def add(
        self,
        ids: Sequence[str],
        embeddings: np.ndarray,
        release_ts: np.ndarray,
        content_type: np.ndarray,
        markets: np.ndarray,
    ) -> np.ndarray:
        """Add items, or replace items whose id the index has in their rows. If an error is raised, nothing changes.

        Args:
            ids, embeddings, release_ts, content_type, markets: see `build`.

        Returns:
            The items' rows, int32 `[n]`.

        Raises:
            InputError: there are more new items than free rows, or a column has the wrong shape or type or a value
                out of range.
        """
        item_columns = checked_columns(self.embeddings.shape[1], ids, embeddings, release_ts, content_type, markets)
        row_ids = self.ids.numpy()
        row_of = {item: row for row, item in enumerate(row_ids.tolist()) if item}
        rows = np.array([row_of.get(item, 0) for item in item_columns["ids"].tolist()], np.int32)
        new, free = int((rows == 0).sum()), self._free_rows(row_ids)
        if new > len(free):
            first, end = self.delta.numpy()
            raise InputError(
                f"The index has room for {end - first} items beyond those of its export, and {len(free)} of these rows "
                f"are free. Received {new} new ids.",
                "Export the model anew, which moves the added items into the main part.",
            )
        rows[rows == 0] = free[:new]
        for name, values in item_columns.items():
            getattr(self, name).scatter_update(tf.IndexedSlices(values, rows))
        return rows

    def search(self, query: tf.Tensor, k: tf.Tensor, **filters: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Find the k items with the largest dot product among the items that each request allows.

        The search is exact: filters are applied before the top k is taken, so they cost no recall. Of equal scores the
        lower row comes first.

        Args:
            query: float32 `[b, dim]`; a query with a number that is not finite gets no item.
            k: the number of items that each request wants, int32 `[b]`.
            filters: see `scores`.

        Returns:
            Rows, int32 `[b, max(k)]`, best first, and their scores, float32 `[b, max(k)]`. Row 0 and -inf fill the
            places beyond a request's own k and beyond the items that it allows.
        """
        most = tf.maximum(tf.reduce_max(k), 0)
        rows, values = best(self.scores(query, **filters), most)
        answered = (tf.range(most)[None, :] < k[:, None]) & tf.math.is_finite(values)
        answered &= tf.reduce_all(tf.math.is_finite(query), axis=1)[:, None]
        return tf.where(answered, rows, 0), tf.where(answered, values, -np.inf)

    def scores(
        self,
        query: tf.Tensor,
        *,
        request_ts: tf.Tensor,
        exclude: tf.Tensor,
        content_types: tf.Tensor,
        released_after: tf.Tensor,
        market: tf.Tensor,
    ) -> tf.Tensor:
        """The dot product of each query with each row, -inf where the filters do not allow the row: `[b, rows]`.

        A filter that no request of the batch uses is skipped.

        Args:
            query: float32 `[b, dim]`.
            request_ts: time of the request, int64 `[b]`, seconds since 1970 UTC; items released later are not allowed.
            exclude: rows that are not allowed, int32 `[b, m]`; row 0 and numbers out of range exclude nothing.
            content_types: types that are allowed, int32 `[b, c]`; all types if all entries are 0. Otherwise 0 and
                numbers that no item has are ignored.
            released_after: int64 `[b]`, seconds since 1970 UTC: only items with a known release at or after this time
                are allowed; 0 sets no bound.
            market: int32 `[b]`, the market's bit number + 1; 0 sets no bound. With any other number, an unknown market,
                only items that are available everywhere are allowed.
        """
        release = tf.convert_to_tensor(self.release_ts)  # [rows]
        now = tf.minimum(tf.maximum(request_ts, 0), NEVER - 1)
        earliest, latest = tf.reduce_min(now), tf.reduce_max(now)
        scores = tf.matmul(query, self.embeddings, transpose_b=True)  # [b, rows]
        scores = tf.nn.bias_add(scores, tf.where(release <= latest, 0.0, -np.inf))

        # The requests of a batch are milliseconds apart, so an item is hardly ever released between them.
        between = tf.reduce_any((release > earliest) & (release <= latest))
        scores = mask_scores(scores, between, lambda: release[None, :] <= now[:, None])

        def late_enough() -> tf.Tensor:
            release_or_first = tf.where(release == 0, ANY, release)
            return release_or_first[None, :] >= tf.where(released_after == 0, ANY, released_after)[:, None]

        def of_a_type() -> tf.Tensor:
            any_type = tf.reduce_all(content_types == 0, axis=1)
            return share_a_bit(bit(self.content_type), tf.where(any_type, ALL_BITS, bits(content_types)))

        def available() -> tf.Tensor:
            market_bit = bit(tf.where((market >= 1) & (market <= CODES), market - 1, CODES))
            # Every row gets the sign bit, so an item without any market passes where the request sets no market.
            return share_a_bit(tf.bitwise.bitwise_or(self.markets, ANY), tf.where(market == 0, ALL_BITS, market_bit))

        scores = mask_scores(scores, tf.reduce_any(released_after != 0), late_enough)
        scores = mask_scores(scores, tf.reduce_any(content_types != 0), of_a_type)
        scores = mask_scores(scores, tf.reduce_any(market != 0), available)
        return tf.cond(tf.reduce_any(exclude > 0), lambda: drop(scores, exclude), lambda: scores)

    def answer(self, rows: tf.Tensor, scores: tf.Tensor) -> dict[str, tf.Tensor]:
        """The ids of rows `[b, k]` with their scores; '' and the lowest float stand for row 0."""
        # JSON has no infinity, and infra validation refuses it.
        return {"item_ids": tf.gather(self.ids, rows), "scores": tf.maximum(scores, scores.dtype.min)}

    def _free_rows(self, row_ids: np.ndarray) -> np.ndarray:
        """Rows of the delta without an item, given the id of every row."""
        first, end = self.delta.numpy()
        return first + np.flatnonzero(row_ids[first:end] == b"")


def mask_scores(scores: tf.Tensor, in_use: tf.Tensor, allowed: Callable[[], tf.Tensor]) -> tf.Tensor:
    """Set scores to -inf where a filter does not allow them; skip the filter if no request uses it.

    Args:
        scores: `[b, rows]`.
        in_use: whether a request uses the filter, bool `[]`.
        allowed: computes the filter's mask, bool `[b, rows]`.
    """
    return tf.cond(in_use, lambda: tf.where(allowed(), scores, -np.inf), lambda: scores)


def drop(scores: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Set `scores` `[b, n]` to -inf at each request's `rows` `[b, m]`; a row out of range counts as row 0."""
    inside = (rows > 0) & (rows < scores.shape[1])
    request = tf.broadcast_to(tf.range(tf.shape(rows)[0])[:, None], tf.shape(rows))
    places = tf.stack([request, tf.where(inside, rows, 0)], axis=2)  # [b, m, 2]
    return tf.tensor_scatter_nd_min(scores, places, tf.fill(tf.shape(rows), -np.inf))


def bit(codes: tf.Tensor) -> tf.Tensor:
    """Convert codes from 0 to 62 to int64 numbers with only that bit set. For example, 5 becomes 32."""
    return tf.bitwise.left_shift(tf.ones_like(codes, tf.int64), tf.cast(codes, tf.int64))


def bits(codes: tf.Tensor) -> tf.Tensor:
    """Set the bits of each row's `codes` `[b, n]` in an int64 `[b]`; codes outside 1 to 62 set no bit."""
    all_codes = tf.range(1, CODES + 1)
    present = tf.reduce_any(codes[:, :, None] == all_codes, axis=1)  # [b, 62]
    return tf.reduce_sum(tf.where(present, bit(all_codes), 0), axis=1)


def share_a_bit(rows: tf.Tensor, requests: tf.Tensor) -> tf.Tensor:
    """Whether each of int64 `rows` `[rows]` has a bit in common with each of `requests` `[b]`: bool `[b, rows]`."""
    return tf.bitwise.bitwise_and(rows[None, :], requests[:, None]) != 0


def best(scores: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Find the k best rows as `tf.math.top_k` does, in less time: rows and scores `[b, k]`.

    A first top-k pass takes the k groups with the largest maxima, the lower group first where maxima are equal; a
    second pass sorts the members of these groups. They hold the k best rows, because each group that ranks before a
    row's own group has a row that ranks before it. If k is above the number of rows, row 0 and -inf fill the rest.
    """
    groups = scores.shape[1] // GROUP
    grouped = tf.reshape(scores, [-1, groups, GROUP])
    taken = tf.math.top_k(tf.reduce_max(grouped, axis=2), tf.minimum(k, groups), sorted=False).indices
    taken = tf.sort(taken, axis=1)  # [b, taken]; in the order of rows, so that the lower row wins a tie
    members = tf.gather(grouped, taken, batch_dims=1)  # [b, taken, group]
    members = tf.reshape(members, tf.shape(taken) * [1, GROUP])
    top = tf.math.top_k(members, tf.minimum(k, tf.shape(members)[1]))
    rows = tf.gather(taken, top.indices // GROUP, batch_dims=1) * GROUP + top.indices % GROUP
    missing = [[0, 0], [0, k - tf.shape(rows)[1]]]
    return tf.pad(rows, missing), tf.pad(top.values, missing, constant_values=-np.inf)

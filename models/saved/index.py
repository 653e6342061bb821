"""The candidates of a retrieval model inside its SavedModel, and the exact search for the best of them.

All of it is stock operations on variables, so stock TensorFlow Serving loads it, and items can be added to a
saved model without training or exporting it again.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import tensorflow as tf

from segue.errors import InputError

GROUP = 32  # candidates in a group: about sqrt(rows / k), so that both rounds of the search see alike many
CODES = 62  # bits of an int64 that name something; the next one names nothing, the last one is the sign
ALL_BITS = np.int64(-1)
EVERYWHERE = ALL_BITS  # markets of a candidate without limits: all bits
NEVER = np.int64(2**63 - 1)  # the release of a row that holds nothing: after any request
ANY = np.int64(-(2**63))  # a bound that every release keeps


class Index(tf.Module):
    """Who can be recommended, and to whom: embeddings to score, and what a request may filter by.

    Row 0 holds nothing and means nothing. The items of the export follow (main), then rows for later ones
    (delta), then rows that make the last group whole. A row that holds nothing has the id ''.

    Variables: `embeddings` float32 `[rows, dim]`; `ids` string `[rows]`; `release_ts` int64 `[rows]`, seconds
    since 1970 UTC, 0 if unknown; `content_type` int32 `[rows]`, 0 if unknown; `markets` int64 `[rows]`, bit n
    for the market of number n + 1; `delta` int32 `[2]`, the first row of the delta and the one after its last.

    Args:
        state: what has these variables and shares them from now on, such as the index of a SavedModel that was
            loaded: `Index(loaded.index).add(...)`, then save `loaded` again. `build` starts from arrays.
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
        """An index of n items, which have the rows 1 to n in this order.

        Args:
            ids: distinct, none empty.
            embeddings: float32 `[n, dim]`.
            release_ts: int64 `[n]`, seconds since 1970 UTC, 0 if unknown.
            content_type: int32 `[n]`, from 0, unknown, to 62.
            markets: int64 `[n]`, a bit for each market where the item may be answered, or `EVERYWHERE`.
            capacity: how many items can be added later.

        Raises:
            InputError: a column has another shape or type, or a value that its rule excludes.
        """
        given = columns(np.shape(embeddings)[-1], ids, embeddings, release_ts, content_type, markets)
        if capacity < 0:
            raise InputError(f"`capacity` must be at least 0; it is {capacity}.", "Say how many items may follow.")
        first = 1 + len(ids)
        after = capacity + -(first + capacity) % GROUP  # rows, so that groups are whole
        nothing: dict[str, Any] = {"ids": b"", "release_ts": NEVER}
        state = SimpleNamespace(delta=tf.Variable([first, first + capacity], trainable=False))
        for name, values in given.items():
            widths = [(1, after), (0, 0)][: values.ndim]
            filled = np.pad(values, widths, constant_values=nothing.get(name, 0))
            setattr(state, name, tf.Variable(filled, trainable=False))
        return cls(state)

    @property
    def free(self) -> int:
        """How many new items can still be added."""
        return len(self._free_rows(self.ids.numpy()))

    def add(
        self,
        ids: Sequence[str],
        embeddings: np.ndarray,
        release_ts: np.ndarray,
        content_type: np.ndarray,
        markets: np.ndarray,
    ) -> np.ndarray:
        """Add items, or replace those whose id the index has, in their own rows; all of them or, on an error, none.

        Args:
            ids, embeddings, release_ts, content_type, markets: as for `build`.

        Returns:
            Their rows, int32 `[n]`.

        Raises:
            InputError: more new items than free rows, or a column breaks its rule.
        """
        given = columns(self.embeddings.shape[1], ids, embeddings, release_ts, content_type, markets)
        held = self.ids.numpy()
        row_of = {item: row for row, item in enumerate(held.tolist()) if item}
        rows = np.array([row_of.get(item, 0) for item in given["ids"].tolist()], np.int32)
        new, free = int((rows == 0).sum()), self._free_rows(held)
        if new > len(free):
            first, end = self.delta.numpy()
            raise InputError(
                f"The index takes {end - first} items beyond those of its export and has {len(free)} rows left; "
                f"{new} new ids came.",
                "Export the model anew: that moves the added items into the main part.",
            )
        rows[rows == 0] = free[:new]
        for name, values in given.items():
            getattr(self, name).scatter_update(tf.IndexedSlices(values, rows))
        return rows

    def search(self, query: tf.Tensor, k: tf.Tensor, **asked: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The candidates of the largest dot product with each query among those that its request allows.

        Exact: what a request may not see is gone before any candidate competes, so filters cost no recall. Of
        equal scores the lower row comes first.

        Args:
            query: float32 `[b, dim]`; one with a number that is not finite has no answer.
            k: how many each request wants, int32 `[b]`.
            asked: what the requests allow; see `scores`.

        Returns:
            Rows, int32 `[b, max(k)]`, best first, and their scores, float32 `[b, max(k)]`; row 0 and -inf beyond a
            request's own k and beyond what is allowed to it.
        """
        most = tf.maximum(tf.reduce_max(k), 0)
        rows, values = best(self.scores(query, **asked), most)
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
        """The dot product of each row with each query, -inf where the request does not allow it: `[b, rows]`.

        A filter that no request of the batch uses costs next to nothing.

        Args:
            query: float32 `[b, dim]`.
            request_ts: now, int64 `[b]`, seconds since 1970 UTC; what is released later is not answered.
            exclude: rows not to answer, int32 `[b, m]`; what is not a row of an item excludes nothing.
            content_types: the types wanted, int32 `[b, c]`; all of them if all are 0. Beside others, 0 stands for
                nothing, and so does a number that no item has.
            released_after: int64 `[b]`, seconds since 1970 UTC: only what is known to be released then or later;
                0 is no bound.
            market: int32 `[b]`, the market's bit number + 1; 0 is no bound. Any other number is a market unknown
                here, where only what is available everywhere is answered.
        """
        release = tf.convert_to_tensor(self.release_ts)  # [rows]
        now = tf.minimum(tf.maximum(request_ts, 0), NEVER - 1)
        earliest, latest = tf.reduce_min(now), tf.reduce_max(now)
        scores = tf.matmul(query, self.embeddings, transpose_b=True)  # [b, rows]
        scores = tf.nn.bias_add(scores, tf.where(release <= latest, 0.0, -np.inf))

        # A batch spans milliseconds: hardly ever is something released between its first and its last request.
        between = tf.reduce_any((release > earliest) & (release <= latest))
        scores = keep(scores, between, lambda: release[None, :] <= now[:, None])

        def late_enough() -> tf.Tensor:
            known = tf.where(release == 0, ANY, release)
            return known[None, :] >= tf.where(released_after == 0, ANY, released_after)[:, None]

        def of_a_type() -> tf.Tensor:
            any_type = tf.reduce_all(content_types == 0, axis=1)
            return share_a_bit(bit(self.content_type), tf.where(any_type, ALL_BITS, bits(content_types)))

        def available() -> tf.Tensor:
            there = bit(tf.where((market >= 1) & (market <= CODES), market - 1, CODES))
            # The sign is no market: by it, what is available nowhere passes where no market is asked.
            return share_a_bit(tf.bitwise.bitwise_or(self.markets, ANY), tf.where(market == 0, ALL_BITS, there))

        scores = keep(scores, tf.reduce_any(released_after != 0), late_enough)
        scores = keep(scores, tf.reduce_any(content_types != 0), of_a_type)
        scores = keep(scores, tf.reduce_any(market != 0), available)
        return tf.cond(tf.reduce_any(exclude > 0), lambda: drop(scores, exclude), lambda: scores)

    def _free_rows(self, held: np.ndarray) -> np.ndarray:
        """Rows of the delta that hold nothing, by the ids that all rows hold."""
        first, end = self.delta.numpy()
        return first + np.flatnonzero(held[first:end] == b"")


def keep(scores: tf.Tensor, asked: tf.Tensor, allowed: Callable[[], tf.Tensor]) -> tf.Tensor:
    """`scores` `[b, rows]`, -inf where not `allowed()` `[b, rows]`; as they are, at no cost, if not `asked` `[]`."""
    return tf.cond(asked, lambda: tf.where(allowed(), scores, -np.inf), lambda: scores)


def drop(scores: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """`scores` `[b, n]`, -inf at each request's `rows` `[b, m]`; what is out of range counts as row 0."""
    inside = (rows > 0) & (rows < scores.shape[1])
    request = tf.broadcast_to(tf.range(tf.shape(rows)[0])[:, None], tf.shape(rows))
    places = tf.stack([request, tf.where(inside, rows, 0)], axis=2)  # [b, m, 2]
    return tf.tensor_scatter_nd_min(scores, places, tf.fill(tf.shape(rows), -np.inf))


def bit(codes: tf.Tensor) -> tf.Tensor:
    """int64 with only the bit of each of `codes` set, from 0 to 62, of their shape."""
    return tf.bitwise.left_shift(tf.ones_like(codes, tf.int64), tf.cast(codes, tf.int64))


def bits(codes: tf.Tensor) -> tf.Tensor:
    """int64 `[b]` with the bit of each of `codes` `[b, n]` set; what is not from 1 to 62 has none."""
    named = tf.range(1, CODES + 1)
    present = tf.reduce_any(codes[:, :, None] == named, axis=1)  # [b, 62]
    return tf.reduce_sum(tf.where(present, bit(named), 0), axis=1)


def share_a_bit(rows: tf.Tensor, requests: tf.Tensor) -> tf.Tensor:
    """Whether int64 `[rows]` and `[b]` have a bit in common, `[b, rows]`."""
    return tf.bitwise.bitwise_and(rows[None, :], requests[:, None]) != 0


def best(scores: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """What `tf.math.top_k` of `scores` `[b, rows]` answers, in less time: rows and scores `[b, k]`.

    Where k is above the rows, row 0 and -inf fill the rest.
    The k groups of the largest maxima, the lower group first where they are equal, hold the k best rows: each
    group ahead of a row's own has a row ahead of it. Only their members are sorted.
    """
    groups = scores.shape[1] // GROUP
    grouped = tf.reshape(scores, [-1, groups, GROUP])
    enter = tf.math.top_k(tf.reduce_max(grouped, axis=2), tf.minimum(k, groups), sorted=False).indices
    enter = tf.sort(enter, axis=1)  # [b, entered]; in the order of rows, so that the lower row wins a tie
    members = tf.gather(grouped, enter, batch_dims=1)  # [b, entered, group]
    members = tf.reshape(members, tf.shape(enter) * [1, GROUP])
    top = tf.math.top_k(members, tf.minimum(k, tf.shape(members)[1]))
    rows = tf.gather(enter, top.indices // GROUP, batch_dims=1) * GROUP + top.indices % GROUP
    beyond = [[0, 0], [0, k - tf.shape(rows)[1]]]
    return tf.pad(rows, beyond), tf.pad(top.values, beyond, constant_values=-np.inf)


def columns(
    dim: int,
    ids: Sequence[str],
    embeddings: np.ndarray,
    release_ts: np.ndarray,
    content_type: np.ndarray,
    markets: np.ndarray,
) -> dict[str, np.ndarray]:
    """Columns as the variables hold them, by name; `release_ts`, which lets a row be found, is the last to write.

    Raises:
        InputError: a column has another shape or type, or a value that its rule excludes.
    """
    numbers = {"content_type": content_type, "markets": markets, "release_ts": release_ts}
    numbers = {name: np.asarray(values) for name, values in numbers.items()}
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused below
        embeddings = np.asarray(embeddings, np.float32)
    if embeddings.shape != (len(ids), dim):
        raise InputError(
            f"`embeddings` must be [ids, dim] = {[len(ids), dim]}; they are {list(embeddings.shape)}.",
            "Embed the items with the model that the index belongs to.",
        )
    for name, values in numbers.items():
        if values.shape != (len(ids),) or (len(ids) and not np.issubdtype(values.dtype, np.integer)):
            raise InputError(
                f"`{name}` must be {len(ids)} integers; it is {values.dtype}{list(values.shape)}.",
                "Give each id one.",
            )
    counts = Counter(ids)
    require("ids", ids, [not item for item in ids], "not be empty")
    require("ids", ids, [counts[item] > 1 for item in ids], "be distinct")
    require("embeddings", ids, ~np.isfinite(embeddings).all(axis=1), "be finite")
    outside = (numbers["content_type"] < 0) | (numbers["content_type"] > CODES)
    require("content_type", ids, outside, f"lie from 0 to {CODES}")
    outside = (numbers["markets"] < EVERYWHERE) | (numbers["markets"] >= 1 << CODES)
    require("markets", ids, outside, f"be {EVERYWHERE} or set none but the lowest {CODES} bits")
    return {
        "ids": np.array([item.encode() for item in ids], object),
        "embeddings": embeddings,
        "content_type": numbers["content_type"].astype(np.int32),
        "markets": numbers["markets"].astype(np.int64),
        "release_ts": numbers["release_ts"].astype(np.int64),
    }


def require(name: str, ids: Sequence[str], broken: Sequence[bool] | np.ndarray, rule: str) -> None:
    """Raise an InputError that names the first item for which `broken` `[n]` is true."""
    wrong = np.flatnonzero(broken)
    if len(wrong):
        raise InputError(
            f"`{name}` must {rule}; item {wrong[0]}, {ids[wrong[0]]!r}, breaks that, the first of {len(wrong)}.",
            "Correct these items or leave them out.",
        )

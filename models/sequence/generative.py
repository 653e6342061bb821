"""The generative head: it predicts the codes of the next item one after the other and searches for the likeliest item.

The idea is that of TIGER (Rajput et al., NeurIPS 2023), but the head reads the states of the transformer that scores
items and has no transformer of its own. Each level is a softmax over the codes that follow a prefix in the codes of
some item. A code is scored by the mean vector of the items that have it after the prefix. The head learns the
distribution that the dense head predicts, and not only the item that came next (distillation: Hinton et al., 2015).
"""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from models.sequence.attention import RMSNorm
from models.sequence.losses import ACCIDENTAL, CHUNK, mean

keras = tf.keras

HIDDEN = 8  # width of the hidden layer, as a multiple of the states' width
WIDEST = 128  # most values of a last code in one level; thousands of items without content may share all other codes
FEWEST = 1e-5  # total probability below a prefix under which float32 cannot tell its codes apart


class CodeTree(tf.Module):
    """The prefix tree of all items' codes, held in tables so that decoding needs stock operations only.

    Items are sorted by their codes, and the prefixes of a level are numbered from 0 in the same order. So all items
    with a common prefix are a range. A number of the last level is the place of an item in this order.

    Args:
        codes: codes of each item, distinct rows, int `[items, codes]`. The last code may be any number; it is split
            into as many levels as keep each level below `WIDEST` values.
        rows: row of each item in the catalogue, int `[items]`, from 1.
        vectors: vector of each item, `[items, dim]`.
    """

    def __init__(self, codes: np.ndarray, rows: np.ndarray, vectors: np.ndarray) -> None:
        super().__init__()
        codes = np.concatenate([codes[:, :-1], digits(codes[:, -1], WIDEST)], axis=1)
        order = np.lexsort(codes.T[::-1])
        codes, vectors = codes[order], vectors[order].astype(np.float64)
        paths, children, items, means = [], [], [], []
        numbers = np.zeros(len(codes), np.int64)  # the number of each item's prefix, which starts at the root, 0
        for level in range(codes.shape[1]):
            pairs = np.stack([numbers, codes[:, level]], axis=1)
            _, first, own = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
            parents = numbers[first]
            children.append(np.searchsorted(parents, np.arange(numbers[-1] + 2)))
            items.append(np.append(first, len(codes)))
            means.append(np.add.reduceat(vectors, first, axis=0) / np.diff(items[-1])[:, None])
            numbers = own.reshape(-1)
            paths.append(numbers)
        places = np.zeros(int(rows.max()) + 1, np.int64)
        places[rows[order]] = 1 + np.arange(len(rows))
        self.children = [constant(values) for values in children]  # a level's first prefix below each parent prefix
        self.items = [constant(values) for values in items]  # place of each prefix's first item, then their number
        self.means = [tf.Variable(values.astype(np.float32), trainable=False) for values in means]  # of its items
        self.widths = [int(np.diff(values).max()) for values in children]  # most codes that follow a prefix
        self.paths = constant(np.stack(paths, axis=1))  # [items, levels], the prefixes of each item
        self.rows = constant(rows[order])  # [items], the catalogue's row of each place
        self.places = constant(places)  # place of each row of the catalogue, plus 1; 0 where the row has no codes

    def follow(self, level: int, prefix: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """List the prefixes of a level that continue shorter prefixes.

        Args:
            level: from 0.
            prefix: numbers of prefixes of the level before, `[...]`; 0, the root, for level 0.

        Returns:
            Their numbers, int32 `[..., width]`, and a bool mask `[..., width]`, which is false where a prefix has fewer
            continuations than the widest prefix of the level.
        """
        first, end = (tf.gather(self.children[level], prefix + n)[..., None] for n in (0, 1))
        numbers = first + tf.range(self.widths[level])
        exists = numbers < end
        return tf.where(exists, numbers, first), exists


def digits(values: np.ndarray, base: int) -> np.ndarray:
    """Write numbers from 0 `[n]` as digits, the highest first: int `[n, digits]`, with at least one digit.

    For example, 5 in base 4 is 1, 1.
    """
    count = 1
    while base**count <= values.max(initial=0):
        count += 1
    return values[:, None] // base ** np.arange(count)[::-1] % base


def constant(values: np.ndarray) -> tf.Variable:
    """An int32 variable that is not trained, so that a SavedModel stores the table."""
    return tf.Variable(values.astype(np.int32), trainable=False)


class CodeHead(tf.keras.layers.Layer):
    """Turns states and a prefix of codes into logits of the next code.

    The dense head scores an item by the dot product of its vector with the state. Accordingly, the logit of a code
    starts as the dot product of the state with the mean vector of the code's items, plus the logarithm of their number.
    Training adds what the mean does not tell, such as how far the items are apart.

    Args:
        tree: the items' codes.
        dim: width of the states.
    """

    def __init__(self, tree: CodeTree, dim: int) -> None:
        super().__init__()
        self.tree = tree
        counts = [np.log(np.diff(items.numpy())) for items in tree.items]
        self.biases = [
            self.add_weight(f"bias_{level}", [len(count)], initializer=keras.initializers.Constant(count))
            for level, count in enumerate(counts)
        ]
        self.norms = [RMSNorm() for _ in counts]
        self.hidden = [keras.layers.Dense(HIDDEN * dim, "silu") for _ in counts]
        self.out = [keras.layers.Dense(dim, kernel_initializer="zeros") for _ in counts]

    def logits(self, level: int, state: tf.Tensor, prefix: tf.Tensor) -> tf.Tensor:
        """Compute the logits of the codes that may follow a prefix, `[n, width]`; -1e9 where there is no such code.

        Args:
            level: from 0.
            state: states of the sequence model, `[n, dim]`.
            prefix: number of the prefix, `[n]`.
        """
        numbers, exists = self.tree.follow(level, prefix)
        prefix_mean = tf.gather(self.tree.means[level - 1], prefix) if level else tf.zeros_like(state)
        inputs = tf.concat([self.norms[level](state), prefix_mean * state.shape[-1] ** 0.5], axis=-1)
        query = state + self.out[level](self.hidden[level](inputs))
        means = self.tree.means[level]
        if level:
            scores = tf.einsum("nd,nwd->nw", query, tf.gather(means, numbers))
        else:  # at the root all rows have the same codes
            scores = tf.matmul(query, means, transpose_b=True)
        return tf.where(exists, scores + tf.gather(self.biases[level], numbers), ACCIDENTAL)

    def walk(self, state: tf.Tensor, place: tf.Tensor) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Follow the codes of items from level to level.

        Args:
            state: states of the sequence model, `[n, dim]`.
            place: places of the items in the tree, int32 `[n]`.

        Yields:
            For each level, the logits `[n, width]` after the prefix so far, and the column of the item's code, `[n]`.
        """
        path = tf.gather(self.tree.paths, place)  # [n, levels]
        prefix = tf.zeros_like(place)
        for level, children in enumerate(self.tree.children):
            yield self.logits(level, state, prefix), path[:, level] - tf.gather(children, prefix)
            prefix = path[:, level]

    def loss(self, state: tf.Tensor, row: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        """The mean negative log probability of the items that came next.

        Args:
            state: states of the sequence model, `[n, dim]`.
            row: rows of the items in the catalogue, int32 `[n]`; items without codes are left out of the mean.
            weight: weight of each prediction, `[n]`.
        """
        place = tf.gather(self.tree.places, tf.where(row < self.tree.places.shape[0], row, 0))
        steps = self.walk(state, tf.maximum(place - 1, 0))
        losses = [tf.nn.sparse_softmax_cross_entropy_with_logits(column, logits) for logits, column in steps]
        return mean(tf.add_n(losses), weight * tf.cast(place > 0, tf.float32))

    def imitate(self, state: tf.Tensor, place: tf.Tensor, expected: list[tf.Tensor], weight: tf.Tensor) -> tf.Tensor:
        """The mean cross-entropy between a teacher's distribution of codes and this head's, along the codes of items.

        Args:
            state: states of the sequence model, `[n, dim]`.
            place: places of items that are drawn from the teacher, int32 `[n]`.
            expected: for each level, the teacher's probabilities of the next code, `[n, width]`; see `expectations`.
            weight: weight of each prediction, `[n]`.
        """
        steps = zip(self.walk(state, place), expected, strict=True)
        losses = [tf.nn.softmax_cross_entropy_with_logits(shares, logits) for (logits, _), shares in steps]
        return mean(tf.add_n(losses), weight)

    def expectations(self, state: tf.Tensor, draw: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Draw an item from the softmax over all items, and compute that softmax's distribution of codes on its way.

        Averaged over draws, `imitate` of these is the cross-entropy between the softmax over items and this head.

        Args:
            state: states of the sequence model, `[n, dim]`.
            draw: uniform random numbers from 0 to 1, `[n]`.

        Returns:
            The places of the drawn items, int32 `[n]`, and for each level the probabilities of the next code,
            `[n, width]`, whose rows sum to 1.
        """
        count = tf.shape(state)[0]
        chunks = tf.maximum(1, (count + CHUNK - 1) // CHUNK)  # a `TensorArray` of no parts has no shape
        drawn = tf.TensorArray(tf.int32, chunks, element_shape=[None], infer_shape=False)
        shapes = [[None, width] for width in self.tree.widths]
        parts = [tf.TensorArray(tf.float32, chunks, element_shape=shape, infer_shape=False) for shape in shapes]

        def step(index, drawn, parts):
            rows = slice(index * CHUNK, tf.minimum((index + 1) * CHUNK, count))
            logits = tf.matmul(state[rows], self.tree.means[-1], transpose_b=True)  # [c, items]
            below = tf.pad(tf.cumsum(tf.nn.softmax(logits), axis=1), [[0, 0], [1, 0]])  # [c, items + 1]
            place = tf.searchsorted(below[:, 1:], (draw[rows] * below[:, -1])[:, None], side="right")[:, 0]
            place = tf.minimum(place, tf.shape(logits)[1] - 1)
            levels = zip(parts, self.expected(below, place), strict=True)
            return index + 1, drawn.write(index, place), [part.write(index, shares) for part, shares in levels]

        _, drawn, parts = tf.while_loop(
            lambda index, *_: index < chunks, step, (0, drawn, parts), parallel_iterations=1
        )  # fmt: skip
        return drawn.concat(), [part.concat() for part in parts]

    def expected(self, below: tf.Tensor, place: tf.Tensor) -> list[tf.Tensor]:
        """Compute a softmax's distribution of codes on the way to some items.

        Args:
            below: cumulative probability of the items before each place, `[c, items + 1]`.
            place: places of the items, int32 `[c]`.

        Returns:
            For each level the probabilities of the next code, `[c, width]`, whose rows sum to 1.
        """
        path, prefix = tf.gather(self.tree.paths, place), tf.zeros_like(place)
        shares = []
        for level, items in enumerate(self.tree.items):
            numbers, exists = self.tree.follow(level, prefix)
            mass = tf.gather(below, tf.gather(items, numbers + 1), batch_dims=1)
            mass = tf.where(exists, mass - tf.gather(below, tf.gather(items, numbers), batch_dims=1), 0.0)
            total = tf.reduce_sum(mass, axis=1, keepdims=True)
            # Below FEWEST the masses are rounding errors, so all probability goes to the code of the drawn item, which
            # is right on average because items are drawn from the same distribution.
            drawn = tf.cast(numbers == path[:, level, None], tf.float32) * tf.cast(exists, tf.float32)
            shares.append(tf.where(total > FEWEST, tf.math.divide_no_nan(mass, total), drawn))
            prefix = path[:, level]
        return shares

    def search(self, state: tf.Tensor, width: int, allowed: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Find the likeliest items by beam search; a beam is only kept if it leads to an allowed item.

        Args:
            state: states of the sequence model, `[b, dim]`.
            width: number of beams that are kept at each level, and so of items that are returned.
            allowed: marks the rows of the catalogue that may be returned, bool `[b, rows]`; None allows all.

        Returns:
            Rows, int32 `[b, width]`, likeliest first, and their log probabilities. Row 0 and a value of -1e9 or less
            fill the places where there are fewer items.
        """
        batch, dim = tf.shape(state)[0], state.shape[-1]
        log_probability = tf.zeros([batch, 1])
        prefix = tf.zeros([batch, 1], tf.int32)
        allowed_before = None
        if allowed is not None:
            by_place = tf.cast(tf.gather(allowed, self.tree.rows, axis=1), tf.int32)
            allowed_before = tf.pad(tf.cumsum(by_place, axis=1), [[0, 0], [1, 0]])  # allowed items before each place
        for level, items in enumerate(self.tree.items):
            beams = tf.shape(prefix)[1]
            states = tf.reshape(tf.repeat(state[:, None], beams, axis=1), [-1, dim])
            logits = self.logits(level, states, tf.reshape(prefix, [-1]))
            scores = tf.reshape(tf.nn.log_softmax(logits), [batch, beams, -1]) + log_probability[:, :, None]
            numbers, reachable = self.tree.follow(level, prefix)  # [b, beams, width]
            if allowed_before is not None:
                first, end = (tf.gather(allowed_before, tf.gather(items, numbers + n), batch_dims=1) for n in (0, 1))
                reachable &= end > first
            scores = tf.reshape(tf.where(reachable, scores, ACCIDENTAL), [batch, -1])
            top = tf.math.top_k(scores, tf.minimum(width, tf.shape(scores)[1]))
            log_probability = top.values
            prefix = tf.gather(tf.reshape(numbers, [batch, -1]), top.indices, batch_dims=1)
        return tf.where(log_probability > ACCIDENTAL, tf.gather(self.tree.rows, prefix), 0), log_probability

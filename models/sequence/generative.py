"""The generative head: the codes of what comes next, one after the other, and the search for the likeliest.

TIGER (Rajput et al., NeurIPS 2023) with the transformer that scores items in place of one of its own: each level is
a softmax over the codes that some item has after the codes so far. A code after its prefix is scored by the mean
vector of the items that begin so, and the head is taught what the dense head expects, not only what came next
(distillation: Hinton et al., 2015).
"""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from models.sequence.attention import RMSNorm
from models.sequence.losses import ACCIDENTAL, CHUNK, mean

keras = tf.keras

HIDDEN = 8  # times the width of the states
WIDEST = 128  # codes of a level that tells apart: of items that nothing is known of, thousands may agree in the rest
FEWEST = 1e-5  # of the teacher's probability below a prefix, under which float32 cannot tell its codes apart


class CodeTree(tf.Module):
    """Which codes follow which, and the items at the ends: tables, so that decoding is stock operations.

    Items stand in the order of their codes, and so do the prefixes of a level, which are numbered from 0: what begins
    alike stands together. The numbers of the last level are the places of the items.

    Args:
        codes: of each item, distinct rows, int `[items, codes]`. The last one may be any number: it makes as many
            levels as keep each below `WIDEST`.
        rows: of the catalogue, int `[items]`, from 1.
        vectors: of each item, `[items, dim]`.
    """

    def __init__(self, codes: np.ndarray, rows: np.ndarray, vectors: np.ndarray) -> None:
        super().__init__()
        codes = np.concatenate([codes[:, :-1], digits(codes[:, -1], WIDEST)], axis=1)
        order = np.lexsort(codes.T[::-1])
        codes, vectors = codes[order], vectors[order].astype(np.float64)
        paths, children, items, means = [], [], [], []
        numbers = np.zeros(len(codes), np.int64)  # of each item's prefix; the root is 0
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
        # Of each level: the first prefix after each of the level before, the first item of each, the mean of its items.
        self.children = [constant(values) for values in children]
        self.items = [constant(values) for values in items]
        self.means = [tf.Variable(values.astype(np.float32), trainable=False) for values in means]
        self.widths = [int(np.diff(values).max()) for values in children]
        self.paths = constant(np.stack(paths, axis=1))  # the prefixes of each item, [items, levels]
        self.rows = constant(rows[order])  # of the catalogue, [items]
        self.places = constant(places)  # of rows of the catalogue, from 1; 0 has no codes

    def follow(self, level: int, prefix: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The numbers of what follows prefixes `[...]` at a level, and which of them there are: `[..., width]`."""
        first, end = (tf.gather(self.children[level], prefix + n)[..., None] for n in (0, 1))
        numbers = first + tf.range(self.widths[level])
        there = numbers < end
        return tf.where(there, numbers, first), there


def digits(values: np.ndarray, base: int) -> np.ndarray:
    """Numbers from 0 `[n]` as digits, the highest first: int `[n, digits]`, at least one."""
    count = 1
    while base**count <= values.max(initial=0):
        count += 1
    return values[:, None] // base ** np.arange(count)[::-1] % base


def constant(values: np.ndarray) -> tf.Variable:
    """Integers that a SavedModel keeps, int32."""
    return tf.Variable(values.astype(np.int32), trainable=False)


class CodeHead(tf.keras.layers.Layer):
    """States and the codes so far to logits of the next code.

    An item is scored by the product of its vector with the state. So a code begins as likely as the mean of its items
    and their number make it; what there is beyond, such as how far they lie apart, is learned.

    Args:
        tree: of the items' codes.
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
        """Logits of what follows, `[n, width]`; -1e9 where nothing does.

        Args:
            level: from 0.
            state: of the sequence, `[n, dim]`.
            prefix: the number of the codes so far, `[n]`.
        """
        numbers, there = self.tree.follow(level, prefix)
        before = tf.gather(self.tree.means[level - 1], prefix) if level else tf.zeros_like(state)
        given = tf.concat([self.norms[level](state), before * state.shape[-1] ** 0.5], axis=-1)
        seen = state + self.out[level](self.hidden[level](given))
        means = self.tree.means[level]
        if level:
            scores = tf.einsum("nd,nwd->nw", seen, tf.gather(means, numbers))
        else:  # the same codes for all
            scores = tf.matmul(seen, means, transpose_b=True)
        return tf.where(there, scores + tf.gather(self.biases[level], numbers), ACCIDENTAL)

    def walk(self, state: tf.Tensor, place: tf.Tensor) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Level by level, the logits `[n, width]` on the way to the items at `place` `[n]`, and which one it takes."""
        path = tf.gather(self.tree.paths, place)  # [n, levels]
        prefix = tf.zeros_like(place)
        for level, children in enumerate(self.tree.children):
            yield self.logits(level, state, prefix), path[:, level] - tf.gather(children, prefix)
            prefix = path[:, level]

    def loss(self, state: tf.Tensor, row: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        """Mean negative log probability of items, given states `[n, dim]`.

        Args:
            state: `[n, dim]`.
            row: of the item that came next, int32 `[n]`.
            weight: `[n]`; what has no codes counts nothing.
        """
        place = tf.gather(self.tree.places, tf.where(row < self.tree.places.shape[0], row, 0))
        steps = self.walk(state, tf.maximum(place - 1, 0))
        losses = [tf.nn.sparse_softmax_cross_entropy_with_logits(taken, logits) for logits, taken in steps]
        return mean(tf.add_n(losses), weight * tf.cast(place > 0, tf.float32))

    def imitate(self, state: tf.Tensor, place: tf.Tensor, expected: list[tf.Tensor], weight: tf.Tensor) -> tf.Tensor:
        """Mean cross-entropy of the codes that a teacher expects on the way to an item.

        Args:
            state: `[n, dim]`.
            place: of items drawn from the teacher, int32 `[n]`.
            expected: of each level, the teacher's probabilities of what follows, `[n, width]`; see `expectations`.
            weight: `[n]`.
        """
        steps = zip(self.walk(state, place), expected, strict=True)
        losses = [tf.nn.softmax_cross_entropy_with_logits(taught, logits) for (logits, _), taught in steps]
        return mean(tf.add_n(losses), weight)

    def expectations(self, state: tf.Tensor, draw: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """What the softmax over all items says of codes, on the way to one item that is drawn from it.

        The mean of `imitate` over draws is the cross-entropy between the softmax over items and this head's.

        Args:
            state: `[n, dim]`.
            draw: evenly from 0 to 1, `[n]`.

        Returns:
            Places of the items drawn, int32 `[n]`, and the probabilities of what follows at each level, `[n, width]`;
            each row sums to 1.
        """
        count = tf.shape(state)[0]
        chunks = (count + CHUNK - 1) // CHUNK
        drawn = tf.TensorArray(tf.int32, chunks, element_shape=[None], infer_shape=False)
        shapes = [[None, width] for width in self.tree.widths]
        parts = [tf.TensorArray(tf.float32, chunks, element_shape=shape, infer_shape=False) for shape in shapes]

        def step(index, drawn, parts):
            rows = slice(index * CHUNK, tf.minimum((index + 1) * CHUNK, count))
            logits = tf.matmul(state[rows], self.tree.means[-1], transpose_b=True)  # [c, items]
            below = tf.pad(tf.cumsum(tf.nn.softmax(logits), axis=1), [[0, 0], [1, 0]])  # of the items before a place
            place = tf.searchsorted(below[:, 1:], (draw[rows] * below[:, -1])[:, None], side="right")[:, 0]
            place = tf.minimum(place, tf.shape(logits)[1] - 1)
            found = self.expected(below, place)
            return index + 1, drawn.write(index, place), [p.write(index, f) for p, f in zip(parts, found, strict=True)]

        _, drawn, parts = tf.while_loop(
            lambda index, *_: index < chunks, step, (0, drawn, parts), parallel_iterations=1
        )  # fmt: skip
        return drawn.concat(), [part.concat() for part in parts]

    def expected(self, below: tf.Tensor, place: tf.Tensor) -> list[tf.Tensor]:
        """Probabilities of what follows on the way to `place` `[c]`, from those of all items before each place."""
        path, prefix = tf.gather(self.tree.paths, place), tf.zeros_like(place)
        found = []
        for level, items in enumerate(self.tree.items):
            numbers, there = self.tree.follow(level, prefix)
            mass = tf.gather(below, tf.gather(items, numbers + 1), batch_dims=1)
            mass = tf.where(there, mass - tf.gather(below, tf.gather(items, numbers), batch_dims=1), 0.0)
            total = tf.reduce_sum(mass, axis=1, keepdims=True)
            # Where rounding would speak, the item drawn does: that is right on average, too.
            drawn = tf.cast(numbers == path[:, level, None], tf.float32) * tf.cast(there, tf.float32)
            found.append(tf.where(total > FEWEST, tf.math.divide_no_nan(mass, total), drawn))
            prefix = path[:, level]
        return found

    def search(self, state: tf.Tensor, width: int, allowed: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Beam search for the likeliest items, all of which exist; no beam leads where nothing is allowed.

        Args:
            state: `[b, dim]`.
            width: beams kept at each level, and answers.
            allowed: which rows of the catalogue may be answered, bool `[b, rows]`; None allows all.

        Returns:
            Rows, int32 `[b, width]`, likeliest first, and their log probabilities; row 0 and -1e9 or less where
            fewer were found.
        """
        batch, dim = tf.shape(state)[0], state.shape[-1]
        likely = tf.zeros([batch, 1])
        prefix = tf.zeros([batch, 1], tf.int32)
        open_before = None
        if allowed is not None:
            one_each = tf.cast(tf.gather(allowed, self.tree.rows, axis=1), tf.int32)
            open_before = tf.pad(tf.cumsum(one_each, axis=1), [[0, 0], [1, 0]])  # allowed items before a place
        for level, items in enumerate(self.tree.items):
            beams = tf.shape(prefix)[1]
            states = tf.reshape(tf.repeat(state[:, None], beams, axis=1), [-1, dim])
            logits = self.logits(level, states, tf.reshape(prefix, [-1]))
            scores = tf.reshape(tf.nn.log_softmax(logits), [batch, beams, -1]) + likely[:, :, None]
            numbers, there = self.tree.follow(level, prefix)  # [b, beams, width]
            if open_before is not None:
                first, end = (tf.gather(open_before, tf.gather(items, numbers + n), batch_dims=1) for n in (0, 1))
                there &= end > first
            scores = tf.reshape(tf.where(there, scores, ACCIDENTAL), [batch, -1])
            top = tf.math.top_k(scores, tf.minimum(width, tf.shape(scores)[1]))
            likely = top.values
            prefix = tf.gather(tf.reshape(numbers, [batch, -1]), top.indices, batch_dims=1)
        return tf.where(likely > ACCIDENTAL, tf.gather(self.tree.rows, prefix), 0), likely

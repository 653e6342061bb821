"""What the next item is learned by: softmax over all items or over sampled ones, and gBCE.

`full_softmax` takes hidden states `[n, dim]`, one an entry that predicts, the sampled losses the logits that
`logits_of` makes of them; each gives the mean over weights.
"""

import math

import tensorflow as tf

CHUNK = 512  # predictions whose logits are held at once; more of them leave the cache
ACCIDENTAL = -1e9
LEAST = 1e-37  # about the least normal float32


def mean(losses: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """The weighted mean of `[n]`; 0 if all weights are 0."""
    return tf.math.divide_no_nan(tf.reduce_sum(losses * weight), tf.reduce_sum(weight))


def full_softmax(
    hidden: tf.Tensor, items: tf.Tensor, target: tf.Tensor, weight: tf.Tensor, had: tf.Tensor | None = None
) -> tf.Tensor:
    """Cross-entropy of the softmax over all items, by chunks: no `[n, items]` matrix is ever held.

    The gradient is taken along with the loss, while a chunk's probabilities are in the cache (Cut Cross-Entropy:
    Wijmans et al., ICLR 2025): half the time of the plain expression, and memory that does not grow with n. What weighs
    nothing is left out beforehand: in logs with skips that is half of the entries.

    Args:
        hidden: `[n, dim]`.
        items: embeddings `[items, dim]`.
        target: rows of `items`, int32 `[n]`.
        weight: `[n]`.
        had: rows of `items` that are no candidates for each, int32 `[n, m]`, -1 for none; None if all are.
    """

    kept = tf.where(weight > 0)[:, 0]
    target, had = tf.gather(target, kept), None if had is None else tf.gather(had, kept)
    share = tf.math.divide_no_nan(tf.gather(weight, kept), tf.reduce_sum(weight))

    @tf.custom_gradient
    def loss(states: tf.Tensor, items: tf.Tensor):
        hidden = tf.gather(states, kept)
        count, dim = tf.shape(hidden)[0], hidden.shape[1]
        chunks = tf.maximum(1, (count + CHUNK - 1) // CHUNK)  # a `TensorArray` of no parts has no shape
        to_hidden = tf.TensorArray(tf.float32, chunks, element_shape=[None, dim], infer_shape=False)

        def step(index, total, to_hidden, to_items):
            rows = slice(index * CHUNK, tf.minimum((index + 1) * CHUNK, count))
            part, own, own_share = hidden[rows], target[rows], share[rows]
            logits = tf.matmul(part, items, transpose_b=True)  # [c, items]
            if had is not None:
                logits = without(logits, had[rows])
            shares = tf.nn.softmax(logits)
            hit = tf.gather(shares, own, batch_dims=1)
            losses = -tf.math.log(tf.maximum(hit, LEAST))
            to_part = own_share[:, None] * (tf.matmul(shares, items) - tf.gather(items, own))
            # What the targets take from the items' gradient is scattered once, at the end.
            to_items += tf.matmul(shares, part * own_share[:, None], transpose_a=True)
            total += tf.reduce_sum(losses * own_share)
            return index + 1, total, to_hidden.write(index, to_part), to_items

        start = (0, tf.constant(0.0), to_hidden, tf.zeros_like(items))
        _, total, parts, to_items = tf.while_loop(lambda index, *_: index < chunks, step, start, parallel_iterations=1)
        to_items -= tf.math.unsorted_segment_sum(hidden * share[:, None], target, tf.shape(items)[0])
        to_all = tf.scatter_nd(kept[:, None], parts.concat(), tf.shape(states, kept.dtype))
        return total, lambda upstream: (upstream * to_all, upstream * to_items)

    return loss(hidden, items)


def without(logits: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """`logits` `[n, items]` with nothing left for `rows` `[n, m]`, of which -1 is none."""
    first = tf.broadcast_to(tf.range(tf.shape(rows)[0])[:, None], tf.shape(rows))
    places = tf.stack([first, tf.maximum(rows, 0)], axis=2)
    return tf.tensor_scatter_nd_add(logits, places, tf.where(rows >= 0, ACCIDENTAL, 0.0))


def logits_of(
    hidden: tf.Tensor, chosen: tf.Tensor, target: tf.Tensor, negatives: tf.Tensor, rows: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Logits of the targets `[n]` and of shared negatives `[n, k]`, of which the target itself is none.

    Args:
        hidden: `[n, dim]`.
        chosen: the targets' embeddings `[n, dim]`.
        target: which items they are, int32 `[n]`.
        negatives: embeddings `[k, dim]`.
        rows: which items those are, int32 `[k]`.
    """
    own = tf.reduce_sum(hidden * chosen, axis=1)
    others = tf.matmul(hidden, negatives, transpose_b=True)
    return own, tf.where(rows[None, :] == target[:, None], ACCIDENTAL, others)


def sampled_softmax(own: tf.Tensor, others: tf.Tensor, expected: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Softmax over the target and sampled negatives, corrected by how often each is expected among them.

    Bengio and Senécal, IEEE TNN 2008, the logQ correction of Yi et al., RecSys 2019; the target, which is always
    there, is not corrected (Yang et al., WWW 2020, discuss the difference).

    Args:
        own: logits of the targets `[n]`.
        others: logits of negatives `[n, k]`.
        expected: how often each negative is drawn in expectation, `[k]`.
        weight: `[n]`.
    """
    corrected = others - tf.math.log(expected)
    logits = tf.concat([own[:, None], corrected], axis=1)
    return mean(tf.reduce_logsumexp(logits, axis=1) - own, weight)


def gbce(own: tf.Tensor, others: tf.Tensor, rate: float, calibration: float, weight: tf.Tensor) -> tf.Tensor:
    """Generalised binary cross-entropy: the positive's probability to the power of beta counters sampling.

    Petrov and Macdonald, RecSys 2023, equations 9 and 12. Logits are taken as log odds above 1 to k, so that at first
    the negatives together weigh as much as the one positive, and not k times as much (Lin et al., ICCV 2017, begin so).

    Args:
        own: logits of the targets `[n]`.
        others: logits of negatives drawn evenly, `[n, k]`.
        rate: share of the items that is drawn, alpha.
        calibration: t, from 0 (plain BCE) to 1 (calibrated).
        weight: `[n]`.
    """
    beta = rate * (calibration * (1 - 1 / rate) + 1 / rate)
    prior = math.log(others.shape[1])
    losses = -beta * tf.math.log_sigmoid(own - prior) + tf.reduce_sum(tf.nn.softplus(others - prior), axis=1)
    return mean(losses, weight)

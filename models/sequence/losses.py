"""Losses of the next item: softmax over all items, softmax over sampled items, and gBCE.

`full_softmax` takes hidden states `[n, dim]`, one for each prediction. The sampled losses take the logits that
`logits_of` computes from them. Each loss is the weighted mean over the predictions.
"""

import math

import tensorflow as tf

CHUNK = 512  # predictions whose logits are held at once; the logits of more do not fit the processor's cache
ACCIDENTAL = -1e9  # logit of an item that must not compete
LEAST = 1e-37  # a floor of probabilities, close to the smallest normal float32


def mean(losses: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """The weighted mean of `losses` `[n]`; 0 if all weights are 0."""
    return tf.math.divide_no_nan(tf.reduce_sum(losses * weight), tf.reduce_sum(weight))


def full_softmax(
    hidden: tf.Tensor, items: tf.Tensor, target: tf.Tensor, weight: tf.Tensor, excluded: tf.Tensor | None = None
) -> tf.Tensor:
    """Compute the cross-entropy of the softmax over all items in chunks, without an `[n, items]` matrix.

    The gradient is computed with the loss, while the probabilities of a chunk are in the cache (Cut Cross-Entropy:
    Wijmans et al., ICLR 2025). This takes half the time of the plain expression, and its memory does not grow with n.
    Predictions without weight are left out first; in logs with skips they are half of the entries.

    Args:
        hidden: states, `[n, dim]`.
        items: embeddings, `[items, dim]`.
        target: rows of `items`, int32 `[n]`.
        weight: weight of each prediction, `[n]`.
        excluded: rows of `items` that are left out of each softmax, int32 `[n, m]`; -1 stands for no row. None leaves
            out no item.
    """

    kept = tf.where(weight > 0)[:, 0]
    target, excluded = tf.gather(target, kept), None if excluded is None else tf.gather(excluded, kept)
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
            if excluded is not None:
                logits = without(logits, excluded[rows])
            shares = tf.nn.softmax(logits)
            target_share = tf.gather(shares, own, batch_dims=1)
            losses = -tf.math.log(tf.maximum(target_share, LEAST))
            to_part = own_share[:, None] * (tf.matmul(shares, items) - tf.gather(items, own))
            # The targets' part of this gradient is subtracted once after the loop, in a single scatter.
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
    """Add -1e9 to `logits` `[n, items]` at the items `rows` `[n, m]`; a row of -1 changes nothing."""
    prediction = tf.broadcast_to(tf.range(tf.shape(rows)[0])[:, None], tf.shape(rows))
    places = tf.stack([prediction, tf.maximum(rows, 0)], axis=2)
    return tf.tensor_scatter_nd_add(logits, places, tf.where(rows >= 0, ACCIDENTAL, 0.0))


def logits_of(
    hidden: tf.Tensor, chosen: tf.Tensor, target: tf.Tensor, negatives: tf.Tensor, rows: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute the logits of targets and of negatives that all predictions share.

    Args:
        hidden: states, `[n, dim]`.
        chosen: embeddings of the targets, `[n, dim]`.
        target: rows of the targets in the catalogue, int32 `[n]`.
        negatives: embeddings of the negatives, `[k, dim]`.
        rows: rows of the negatives in the catalogue, int32 `[k]`.

    Returns:
        Logits of the targets `[n]` and of the negatives `[n, k]`; -1e9 where a negative is the target itself.
    """
    own = tf.reduce_sum(hidden * chosen, axis=1)
    others = tf.matmul(hidden, negatives, transpose_b=True)
    return own, tf.where(rows[None, :] == target[:, None], ACCIDENTAL, others)


def sampled_softmax(own: tf.Tensor, others: tf.Tensor, expected: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Compute the softmax loss over the target and sampled negatives, corrected for how often each is sampled.

    Sampled softmax is from Bengio and Senécal, IEEE TNN 2008; subtracting the logarithm of the expected count is the
    logQ correction of Yi et al., RecSys 2019. The target is always present, so its logit is not corrected (Yang et
    al., WWW 2020, discuss the difference).

    Args:
        own: logits of the targets, `[n]`.
        others: logits of the negatives, `[n, k]`.
        expected: expected number of times that each negative is drawn, `[k]`.
        weight: weight of each prediction, `[n]`.
    """
    corrected = others - tf.math.log(expected)
    logits = tf.concat([own[:, None], corrected], axis=1)
    return mean(tf.reduce_logsumexp(logits, axis=1) - own, weight)


def gbce(own: tf.Tensor, others: tf.Tensor, rate: float, calibration: float, weight: tf.Tensor) -> tf.Tensor:
    """Compute the generalised binary cross-entropy, which corrects BCE for negative sampling.

    The target's probability is raised to the power of beta (Petrov and Macdonald, RecSys 2023, equations 9 and 12).
    log k is subtracted from all logits, so that an untrained model gives each item the odds 1 : k. The k negatives
    together then weigh as much as the target at first, and not k times as much (Lin et al., ICCV 2017, start likewise).

    Args:
        own: logits of the targets, `[n]`.
        others: logits of uniformly drawn negatives, `[n, k]`.
        rate: alpha, the share of the items that is drawn.
        calibration: t, from 0 (plain BCE) to 1 (calibrated).
        weight: weight of each prediction, `[n]`.
    """
    beta = rate * (calibration * (1 - 1 / rate) + 1 / rate)
    prior = math.log(others.shape[1])
    losses = -beta * tf.math.log_sigmoid(own - prior) + tf.reduce_sum(tf.nn.softplus(others - prior), axis=1)
    return mean(losses, weight)

"""Losses of the next item, compared with the plain expression and with small cases that are computed by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from models.sequence import losses


def drawn(rows: int, items: int = 50, dim: int = 8):
    rng = np.random.default_rng(0)
    hidden, table = (tf.Variable(rng.normal(size=(n, dim)), dtype=tf.float32) for n in (rows, items))
    target = tf.constant(rng.integers(0, items, rows), tf.int32)
    return hidden, table, target, tf.constant(rng.random(rows) < 0.7, tf.float32)


def plain(hidden, table, target, weight):
    logits = tf.matmul(hidden, table, transpose_b=True)
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits)
    return tf.reduce_sum(each * weight) / tf.reduce_sum(weight)


@pytest.mark.parametrize("rows", [1, losses.CHUNK - 1, losses.CHUNK, 2 * losses.CHUNK + 7])
def test_full_softmax_is_the_plain_expression_with_its_gradients(rows):
    hidden, table, target, weight = drawn(rows)
    weight = tf.maximum(weight, tf.one_hot(0, rows))  # at least one weight is above 0
    results = []
    for loss in (losses.full_softmax, plain):
        with tf.GradientTape() as tape:
            value = 2 * loss(hidden, table, target, weight)
        results.append([value, *map(tf.convert_to_tensor, tape.gradient(value, [hidden, table]))])
    for ours, expected in zip(*results, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_full_softmax_without_weights_is_zero():
    hidden, table, target, _ = drawn(3)
    assert float(losses.full_softmax(hidden, table, target, tf.zeros(3))) == 0.0


def test_full_softmax_without_excluded_items():
    hidden, items = tf.constant([[1.0]]), tf.constant([[0.0], [math.log(3)], [math.log(2)]])
    # The exponentials are 1, 3 and 2. Without the 3, the target has 2 of 3.
    loss = losses.full_softmax(hidden, items, tf.constant([2]), tf.ones(1), excluded=tf.constant([[1, 1]]))
    assert float(loss) == pytest.approx(-math.log(2 / 3), rel=1e-5)


def test_a_target_is_not_its_own_negative():
    own, others = losses.logits_of(
        tf.constant([[1.0, 0.0]]), tf.constant([[2.0, 0.0]]), tf.constant([7]),
        tf.constant([[2.0, 0.0], [3.0, 5.0]]), tf.constant([7, 4]),
    )  # fmt: skip
    assert own.numpy().tolist() == [2.0]
    assert others.numpy().tolist() == [[losses.ACCIDENTAL, 3.0]]


def test_sampled_softmax_corrects_for_the_expected_number_of_draws():
    own, others = tf.constant([0.0]), tf.constant([[0.0, math.log(4)]])
    # Negatives expected 2 and 4 times weigh e^0 / 2 = 0.5 and 4 / 4 = 1. The target weighs 1, so the loss is log(2.5).
    loss = losses.sampled_softmax(own, others, tf.constant([2.0, 4.0]), tf.constant([1.0]))
    assert float(loss) == pytest.approx(math.log(2.5))


def test_sampled_softmax_of_every_item_is_the_full_softmax():
    hidden, table, target, weight = drawn(40)
    rows = tf.range(table.shape[0])
    own, others = losses.logits_of(hidden, tf.gather(table, target), target, table, rows)
    loss = losses.sampled_softmax(own, others, tf.ones(table.shape[0]), weight)
    assert float(loss) == pytest.approx(float(losses.full_softmax(hidden, table, target, weight)), rel=1e-5)


@pytest.mark.parametrize(("calibration", "beta"), [(0.0, 1.0), (1.0, 0.1)], ids=["plain BCE", "calibrated"])
def test_gbce_raises_the_positive_to_the_power_of_beta(calibration, beta):
    # With alpha = 0.1, beta = 0.1 (t (1 - 10) + 10), which is 1 for t = 0 and 0.1 for t = 1.
    # With two negatives, logits of log 2 are even odds.
    even = math.log(2)
    loss = losses.gbce(tf.constant([even]), tf.constant([[even, even]]), 0.1, calibration, tf.constant([1.0]))
    assert float(loss) == pytest.approx((beta + 2) * math.log(2))


def test_gbce_starts_with_equal_gradients_of_the_target_and_of_all_negatives():
    own, others = tf.Variable([0.0]), tf.Variable(tf.zeros([1, 1000]))
    with tf.GradientTape() as tape:
        loss = losses.gbce(own, others, 1.0, 0.75, tf.constant([1.0]))
    up, down = tape.gradient(loss, [own, others])
    assert float(tf.reduce_sum(down)) == pytest.approx(-float(up[0]), rel=2e-3)

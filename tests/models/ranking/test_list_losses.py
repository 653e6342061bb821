"""Losses over lists, with expected values computed by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from models.ranking.list_losses import listwise_softmax

LOG3 = math.log(3)  # logits of log 3 and 0 have the probabilities 3/4 and 1/4


def loss(logits: list[float], labels: list[float], groups: list[int]) -> float:
    return float(listwise_softmax(tf.constant(logits), tf.constant(labels), tf.constant(groups)))


@pytest.mark.parametrize(
    ("logits", "labels", "groups", "expected"),
    [
        pytest.param([LOG3, 0.0], [1.0, 0.0], [7, 7], -math.log(3 / 4), id="the likelier one is chosen"),
        pytest.param([LOG3, 0.0], [0.0, 1.0], [7, 7], -math.log(1 / 4), id="the less likely one is chosen"),
        pytest.param([0.0] * 4, [1.0, 0.0, 0.0, 0.0], [1] * 4, math.log(4), id="equal logits of four"),
        pytest.param([LOG3, 0.0], [1.0, 1.0], [7, 7], -math.log(3 / 4 * 1 / 4) / 2, id="both are chosen, half each"),
        pytest.param([LOG3, 0.0], [2.0, 0.0], [7, 7], -math.log(3 / 4), id="relevance is normalized"),
        pytest.param([LOG3, 5.0, 0.0, 2.0], [1.0, 0.0, 0.0, 0.0], [7, 3, 7, 3], -math.log(3 / 4), id="no choice in 3"),
        pytest.param([LOG3, 5.0, 0.0], [1.0, 1.0, 0.0], [7, 3, 7], -math.log(3 / 4), id="a group of one row"),
        # Group 7 costs -log 3/4, group 3 log 2.
        pytest.param(
            [LOG3, 5.0, 0.0, 5.0], [1.0, 1.0, 0.0, 0.0], [7, 3, 7, 3], (math.log(4 / 3) + math.log(2)) / 2, id="two"
        ),
        pytest.param([1.0, 2.0], [0.0, 0.0], [7, 7], 0.0, id="nothing is chosen"),
        pytest.param([1.0, 2.0], [1.0, 1.0], [7, 8], 0.0, id="only groups of one row"),
        pytest.param([1000.0, 1000.0 - LOG3], [1.0, 0.0], [7, 7], -math.log(3 / 4), id="large logits"),
    ],
)  # fmt: skip
def test_cross_entropy_within_groups(logits, labels, groups, expected):
    assert loss(logits, labels, groups) == pytest.approx(expected, rel=1e-3)


def test_raising_all_logits_of_a_group_changes_nothing():
    labels, groups = [1.0, 0.0, 0.0, 1.0], [1, 1, 2, 2]
    assert loss([0.3, 0.1, 0.7, 0.2], labels, groups) == pytest.approx(
        loss([5.3, 5.1, 0.7, 0.2], labels, groups), rel=1e-5
    )


def test_the_gradient_is_that_of_the_softmax():
    # Probabilities minus labels, over two groups: (3/4 - 1) / 2 and (1/4 - 0) / 2. The group of one row is left out.
    logits = tf.constant([LOG3, 0.0, 0.0, LOG3, 9.0])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = listwise_softmax(logits, tf.constant([1.0, 0, 0, 1, 1]), tf.constant([1, 1, 2, 2, 3]))
    np.testing.assert_allclose(tape.gradient(value, logits), [-0.125, 0.125, 0.125, -0.125, 0], atol=1e-6)

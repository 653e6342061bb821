"""The generative head against brute force: a beam as wide as the catalogue finds every item, in the exact order."""

import numpy as np
import pytest
import tensorflow as tf

from models.sequence.generative import CodeHead, CodeTree
from models.training import start

CODES = np.array([[0, 0, 0], [0, 0, 1], [0, 2, 0], [1, 1, 0], [3, 0, 0], [3, 1, 0], [3, 1, 1]])
ROWS = np.array([5, 1, 2, 9, 4, 7, 3])
DIM = 8
CENTROIDS = [np.random.default_rng(2).normal(size=(4, DIM)), np.random.default_rng(3).normal(size=(3, DIM))]


@pytest.fixture
def head() -> CodeHead:
    start(0)
    made = CodeHead(CodeTree(CODES, ROWS), DIM, CENTROIDS)
    made.loss(tf.zeros([1, DIM]), tf.constant([1]), tf.ones([1]))
    rng = np.random.default_rng(0)
    for weights in made.trainable_weights:
        weights.assign(rng.normal(scale=0.5, size=weights.shape))
    return made


@pytest.fixture
def states() -> tf.Tensor:
    return tf.constant(np.random.default_rng(1).normal(size=(5, DIM)), tf.float32)


def log_probabilities(head: CodeHead, states: tf.Tensor) -> np.ndarray:
    """Of each item in the order of `ROWS`, by the loss: `[b, items]`."""
    one = lambda state, row: -float(head.loss(state[None], tf.constant([row], tf.int32), tf.ones([1])))  # noqa: E731
    return np.array([[one(state, row) for row in ROWS] for state in states])


def test_the_probabilities_of_all_items_make_one(head, states):
    np.testing.assert_allclose(np.exp(log_probabilities(head, states)).sum(axis=1), 1, atol=1e-5)


def test_it_begins_as_the_centroids_and_the_numbers_of_items_make_it():
    head = CodeHead(CodeTree(CODES, ROWS), DIM, CENTROIDS)
    state = tf.zeros([1, DIM])
    # Nothing is known of the state, so each of the seven items is as likely as any.
    likely = log_probabilities(head, state)
    np.testing.assert_allclose(likely, np.log(1 / 7), rtol=1e-5)
    state = tf.constant(CENTROIDS[0][[3]], tf.float32)
    first = head.logits(0, state, tf.zeros([1, DIM]), tf.zeros([1], tf.int32)).numpy()[0]
    expected = CENTROIDS[0] @ CENTROIDS[0][3] + np.log([3, 1, 1, 3])  # no item begins with 2
    np.testing.assert_allclose(first[[0, 1, 3]], expected[[0, 1, 3]], rtol=1e-4)


def test_a_wide_beam_finds_all_items_in_the_exact_order(head, states):
    rows, likely = head.search(states, len(ROWS))
    exact = log_probabilities(head, states)
    order = np.argsort(-exact, axis=1)
    np.testing.assert_array_equal(rows, ROWS[order])
    np.testing.assert_allclose(likely, np.take_along_axis(exact, order, axis=1), atol=1e-4)


def test_a_narrow_beam_finds_items_that_exist(head, states):
    rows, likely = head.search(states, 2)
    assert rows.shape == (5, 2)
    assert np.isin(rows, ROWS).all()
    assert (np.diff(likely, axis=1) <= 0).all()


def test_a_beam_wider_than_the_catalogue_has_empty_places(head, states):
    rows, _ = head.search(states, 20)
    assert (np.sort(rows, axis=1)[:, -len(ROWS) :] == np.sort(ROWS)).all()
    assert (np.sort(rows, axis=1)[:, : -len(ROWS)] == 0).all()


def test_what_is_not_allowed_is_not_answered(head, states):
    rows, _ = head.search(states, len(ROWS), lambda found: found % 2 == 1)
    assert {row for row in rows.numpy().ravel() if row} == {5, 1, 9, 7, 3}


def test_items_without_codes_count_nothing(head, states):
    known = head.loss(states[:1], tf.constant([5]), tf.ones([1]))
    both = head.loss(states[:3], tf.constant([5, 6, 1000]), tf.ones([3]))  # 6 is no item of the tree, nor is 1000
    assert float(both) == pytest.approx(float(known) / 1, rel=1e-5)


def test_training_raises_what_came_next(head, states):
    optimizer = tf.keras.optimizers.legacy.Adam(0.05)
    rows = tf.constant([5, 1, 2, 9, 4])
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss = head.loss(states, rows, tf.ones([5]))
        optimizer.apply_gradients(zip(tape.gradient(loss, head.trainable_weights), head.trainable_weights, strict=True))
    found, _ = head.search(states, 3)
    np.testing.assert_array_equal(found[:, 0], rows)

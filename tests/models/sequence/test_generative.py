"""The generative head against brute force: a beam as wide as the catalogue finds every item, in the exact order."""

import numpy as np
import pytest
import tensorflow as tf

from models.fitting.loop import start
from models.sequence.generative import WIDEST, CodeHead, CodeTree, digits

CODES = np.array([[0, 0, 0], [0, 0, 1], [0, 2, 0], [1, 1, 0], [3, 0, 0], [3, 1, 0], [3, 1, 1]])
ROWS = np.array([5, 1, 2, 9, 4, 7, 3])
DIM = 8
VECTORS = np.random.default_rng(4).normal(size=(len(ROWS), DIM)).astype(np.float32)


@pytest.fixture
def head() -> CodeHead:
    start(0)
    made = CodeHead(CodeTree(CODES, ROWS, VECTORS), DIM)
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


def test_it_begins_as_the_means_and_the_numbers_of_items_make_it():
    head = CodeHead(CodeTree(CODES, ROWS, VECTORS), DIM)
    # Nothing is known of the state, so each of the seven items is as likely as any.
    np.testing.assert_allclose(log_probabilities(head, tf.zeros([1, DIM])), np.log(1 / 7), rtol=1e-5)
    state = tf.constant(VECTORS[[3]])
    first = head.logits(0, state, tf.zeros([1], tf.int32)).numpy()[0]
    means = np.array([VECTORS[:3].mean(axis=0), VECTORS[3], VECTORS[4:].mean(axis=0)])
    np.testing.assert_allclose(first, means @ VECTORS[3] + np.log([3, 1, 3]), rtol=1e-4)
    # After 0 comes 0, of two items, or 2, of one; below each prefix the order is the dense head's.
    second = head.logits(1, state, tf.zeros([1], tf.int32)).numpy()[0]
    means = np.array([VECTORS[:2].mean(axis=0), VECTORS[2]])
    np.testing.assert_allclose(second, means @ VECTORS[3] + np.log([2, 1]), rtol=1e-4)
    last = head.logits(2, state, tf.zeros([1], tf.int32)).numpy()[0]
    np.testing.assert_allclose(last, VECTORS[:2] @ VECTORS[3], rtol=1e-4)


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
    allowed = tf.constant([[row % 2 == 1 for row in range(10)]] * 5)
    rows, _ = head.search(states, len(ROWS), allowed)
    assert {row for row in rows.numpy().ravel() if row} == {5, 1, 9, 7, 3}


def test_a_narrow_beam_goes_only_where_something_is_allowed(head, states):
    for only in ROWS:
        rows, _ = head.search(states, 1, tf.constant([[row == only for row in range(10)]] * 5))
        assert rows.numpy().ravel().tolist() == [only] * 5


def test_items_without_codes_count_nothing(head, states):
    known = head.loss(states[:1], tf.constant([5]), tf.ones([1]))
    both = head.loss(states[:3], tf.constant([5, 6, 1000]), tf.ones([3]))  # 6 is no item of the tree, nor is 1000
    assert float(both) == pytest.approx(float(known) / 1, rel=1e-5)


def test_thousands_that_agree_in_their_codes_make_no_level_wide():
    # Items that nothing is known of have one vector and so the same codes, but for the last.
    count = 3 * WIDEST
    codes = np.concatenate([CODES, [[2, 0, n] for n in range(count)]])
    rows = np.concatenate([ROWS, 10 + np.arange(count)])
    vectors = np.concatenate([VECTORS, np.ones((count, DIM), np.float32)])
    head = CodeHead(CodeTree(codes, rows, vectors), DIM)
    assert max(head.tree.widths) <= WIDEST
    assert len(head.tree.widths) == 4
    states = tf.constant(VECTORS[:2])
    likely = [head.loss(state[None], tf.constant([row]), tf.ones([1])) for state in states for row in rows]
    np.testing.assert_allclose(np.exp(-np.array(likely)).reshape(2, -1).sum(axis=1), 1, rtol=1e-4)
    found, _ = head.search(states, len(rows))
    assert [sorted(one) for one in found.numpy().tolist()] == [sorted(rows.tolist())] * 2


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0], [[0]]), ([0, 3], [[0], [3]]), ([4, 1], [[1, 0], [0, 1]]), ([17], [[1, 0, 1]])],
)
def test_digits_are_the_number(values, expected):
    assert digits(np.array(values), 4).tolist() == expected


def test_training_raises_what_came_next(head, states):
    optimizer = tf.keras.optimizers.legacy.Adam(0.05)
    rows = tf.constant([5, 1, 2, 9, 4])
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss = head.loss(states, rows, tf.ones([5]))
        optimizer.apply_gradients(zip(tape.gradient(loss, head.trainable_weights), head.trainable_weights, strict=True))
    found, _ = head.search(states, 3)
    np.testing.assert_array_equal(found[:, 0], rows)


def test_what_the_teacher_expects_of_codes_is_what_it_expects_of_items(head, states):
    drawn = tf.constant([0.0, 0.3, 0.6, 0.9, 0.9999999])
    place, expected = head.expectations(states, drawn)

    logits = states.numpy() @ head.tree.means[-1].numpy().T  # in the order of the tree
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    paths = head.tree.paths.numpy()
    for row in range(5):
        at = int(place[row])
        assert shares[row, :at].sum() <= drawn[row] + 1e-6
        assert shares[row, : at + 1].sum() >= drawn[row] - 1e-6
        for level, taught in enumerate(expected):
            below = (paths[:, :level] == paths[at, :level]).all(axis=1)
            numbers = np.unique(paths[below, level])
            exact = [shares[row, below & (paths[:, level] == n)].sum() / shares[row, below].sum() for n in numbers]
            np.testing.assert_allclose(taught[row, : len(numbers)], exact, atol=1e-4)
            assert not taught[row, len(numbers) :].numpy().any()


def test_of_what_is_hardly_expected_the_code_drawn_is_taught(head):
    """The gradient of a cross-entropy is only right where what is taught sums to 1."""
    for taught in head.expected(tf.constant([[0.0] * len(ROWS) + [1.0]]), tf.constant([1])):
        np.testing.assert_allclose(tf.reduce_sum(taught, axis=1), 1, atol=1e-5)
    # All of the probability is on the last item; of the way to place 1 float32 tells nothing beyond the first code.
    assert head.tree.paths.numpy()[1].tolist() == [0, 0, 1]
    assert taught.numpy().tolist() == [[0.0, 1.0]]


def test_a_head_that_imitates_expects_the_same_items(states):
    start(0)
    head = CodeHead(CodeTree(CODES, ROWS, VECTORS), DIM)
    teacher = tf.nn.softmax(states @ tf.transpose(head.tree.means[-1]))
    shares = tf.gather(teacher, head.tree.places.numpy()[ROWS] - 1, axis=1).numpy()

    def apart() -> float:
        return float(np.sum(shares * (np.log(shares) - log_probabilities(head, states)), axis=1).mean())

    before = apart()
    optimizer = tf.keras.optimizers.legacy.Adam(0.003)
    for number in range(400):
        place, expected = head.expectations(states, tf.random.stateless_uniform([5], [0, number]))
        with tf.GradientTape() as tape:
            loss = head.imitate(states, place, expected, tf.ones([5]))
        optimizer.apply_gradients(zip(tape.gradient(loss, head.trainable_weights), head.trainable_weights, strict=True))
    assert apart() < 0.3 * before

"""The generative head, compared with brute force over all items."""

import numpy as np
import pytest
import tensorflow as tf

from models.fitting.loop import start
from models.sequence.generative import WIDEST, CodeHead, CodeTree, digits

pytestmark = pytest.mark.slow  # heads are trained, which takes 14 s

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
    """The log probability of each item in the order of `ROWS`, from the loss: `[b, items]`."""
    log_probability = lambda state, row: -float(head.loss(state[None], tf.constant([row], tf.int32), tf.ones([1])))  # noqa: E731
    return np.array([[log_probability(state, row) for row in ROWS] for state in states])


def test_the_probabilities_of_all_items_sum_to_one(head, states):
    np.testing.assert_allclose(np.exp(log_probabilities(head, states)).sum(axis=1), 1, atol=1e-5)


def test_an_untrained_head_scores_codes_by_the_mean_and_number_of_their_items():
    head = CodeHead(CodeTree(CODES, ROWS, VECTORS), DIM)
    # With a state of zeros all seven items are equally likely.
    np.testing.assert_allclose(log_probabilities(head, tf.zeros([1, DIM])), np.log(1 / 7), rtol=1e-5)
    state = tf.constant(VECTORS[[3]])
    first = head.logits(0, state, tf.zeros([1], tf.int32)).numpy()[0]
    means = np.array([VECTORS[:3].mean(axis=0), VECTORS[3], VECTORS[4:].mean(axis=0)])
    np.testing.assert_allclose(first, means @ VECTORS[3] + np.log([3, 1, 3]), rtol=1e-4)
    # The code 0 is followed by 0 (two items) or 2 (one item). The scores are products with the items' means.
    second = head.logits(1, state, tf.zeros([1], tf.int32)).numpy()[0]
    means = np.array([VECTORS[:2].mean(axis=0), VECTORS[2]])
    np.testing.assert_allclose(second, means @ VECTORS[3] + np.log([2, 1]), rtol=1e-4)
    last = head.logits(2, state, tf.zeros([1], tf.int32)).numpy()[0]
    np.testing.assert_allclose(last, VECTORS[:2] @ VECTORS[3], rtol=1e-4)


def test_a_beam_as_wide_as_the_catalogue_finds_all_items_in_the_exact_order(head, states):
    rows, log_probability = head.search(states, len(ROWS))
    exact = log_probabilities(head, states)
    order = np.argsort(-exact, axis=1)
    np.testing.assert_array_equal(rows, ROWS[order])
    np.testing.assert_allclose(log_probability, np.take_along_axis(exact, order, axis=1), atol=1e-4)


def test_a_narrow_beam_finds_existing_items(head, states):
    rows, log_probability = head.search(states, 2)
    assert rows.shape == (5, 2)
    assert np.isin(rows, ROWS).all()
    assert (np.diff(log_probability, axis=1) <= 0).all()


def test_a_beam_wider_than_the_catalogue_has_empty_places(head, states):
    rows, _ = head.search(states, 20)
    assert (np.sort(rows, axis=1)[:, -len(ROWS) :] == np.sort(ROWS)).all()
    assert (np.sort(rows, axis=1)[:, : -len(ROWS)] == 0).all()


def test_only_allowed_items_are_found(head, states):
    allowed = tf.constant([[row % 2 == 1 for row in range(10)]] * 5)
    rows, _ = head.search(states, len(ROWS), allowed)
    assert {row for row in rows.numpy().ravel() if row} == {5, 1, 9, 7, 3}


def test_a_narrow_beam_finds_the_only_allowed_item(head, states):
    for only in ROWS:
        rows, _ = head.search(states, 1, tf.constant([[row == only for row in range(10)]] * 5))
        assert rows.numpy().ravel().tolist() == [only] * 5


def test_items_without_codes_do_not_change_the_loss(head, states):
    with_codes = head.loss(states[:1], tf.constant([5]), tf.ones([1]))
    both = head.loss(states[:3], tf.constant([5, 6, 1000]), tf.ones([3]))  # the tree has neither row 6 nor row 1000
    assert float(both) == pytest.approx(float(with_codes) / 1, rel=1e-5)


def test_many_items_with_the_same_codes_make_no_level_wider_than_the_limit():
    # Items without content have the same vector, so they differ in the last code only.
    count = 3 * WIDEST
    codes = np.concatenate([CODES, [[2, 0, n] for n in range(count)]])
    rows = np.concatenate([ROWS, 10 + np.arange(count)])
    vectors = np.concatenate([VECTORS, np.ones((count, DIM), np.float32)])
    head = CodeHead(CodeTree(codes, rows, vectors), DIM)
    assert max(head.tree.widths) <= WIDEST
    assert len(head.tree.widths) == 4
    states = tf.constant(VECTORS[:2])
    loss = tf.function(lambda state, row: head.loss(state[None], row[None], tf.ones([1])))  # 782 calls
    losses = [loss(state, tf.constant(row, tf.int32)) for state in states for row in rows]
    np.testing.assert_allclose(np.exp(-np.array(losses)).reshape(2, -1).sum(axis=1), 1, rtol=1e-4)
    answers, _ = head.search(states, len(rows))
    assert [sorted(answer) for answer in answers.numpy().tolist()] == [sorted(rows.tolist())] * 2


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0], [[0]]), ([0, 3], [[0], [3]]), ([4, 1], [[1, 0], [0, 1]]), ([17], [[1, 0, 1]])],
)
def test_digits_of_numbers_in_base_4(values, expected):
    assert digits(np.array(values), 4).tolist() == expected


def test_training_makes_the_next_items_the_likeliest(head, states):
    optimizer = tf.keras.optimizers.legacy.Adam(0.05)
    rows = tf.constant([5, 1, 2, 9, 4])
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss = head.loss(states, rows, tf.ones([5]))
        optimizer.apply_gradients(zip(tape.gradient(loss, head.trainable_weights), head.trainable_weights, strict=True))
    best, _ = head.search(states, 3)
    np.testing.assert_array_equal(best[:, 0], rows)


def test_the_teachers_distribution_of_codes_sums_its_distribution_of_items(head, states):
    drawn = tf.constant([0.0, 0.3, 0.6, 0.9, 0.9999999])
    place, expected = head.expectations(states, drawn)

    logits = states.numpy() @ head.tree.means[-1].numpy().T  # in the order of the tree's places
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    paths = head.tree.paths.numpy()
    for row in range(5):
        at = int(place[row])
        assert shares[row, :at].sum() <= drawn[row] + 1e-6
        assert shares[row, : at + 1].sum() >= drawn[row] - 1e-6
        for level, code_shares in enumerate(expected):
            below = (paths[:, :level] == paths[at, :level]).all(axis=1)
            numbers = np.unique(paths[below, level])
            exact = [shares[row, below & (paths[:, level] == n)].sum() / shares[row, below].sum() for n in numbers]
            np.testing.assert_allclose(code_shares[row, : len(numbers)], exact, atol=1e-4)
            assert not code_shares[row, len(numbers) :].numpy().any()


def test_below_an_unlikely_prefix_the_drawn_code_is_taught(head):
    # The gradient of the cross-entropy is correct only for probabilities that sum to 1.
    for code_shares in head.expected(tf.constant([[0.0] * len(ROWS) + [1.0]]), tf.constant([1])):
        np.testing.assert_allclose(tf.reduce_sum(code_shares, axis=1), 1, atol=1e-5)
    # All probability is on the last item, so below the first code of place 1 there is none left.
    assert head.tree.paths.numpy()[1].tolist() == [0, 0, 1]
    assert code_shares.numpy().tolist() == [[0.0, 1.0]]


def test_a_head_that_imitates_the_teacher_learns_its_distribution_of_items(states):
    start(0)
    head = CodeHead(CodeTree(CODES, ROWS, VECTORS), DIM)
    teacher = tf.nn.softmax(states @ tf.transpose(head.tree.means[-1]))
    shares = tf.gather(teacher, head.tree.places.numpy()[ROWS] - 1, axis=1).numpy()

    def divergence() -> float:
        return float(np.sum(shares * (np.log(shares) - log_probabilities(head, states)), axis=1).mean())

    before = divergence()
    optimizer = tf.keras.optimizers.legacy.Adam(0.003)

    @tf.function
    def train(draw: tf.Tensor) -> None:
        place, expected = head.expectations(states, draw)
        with tf.GradientTape() as tape:
            loss = head.imitate(states, place, expected, tf.ones([5]))
        optimizer.apply_gradients(zip(tape.gradient(loss, head.trainable_weights), head.trainable_weights, strict=True))

    for number in range(400):
        train(tf.random.stateless_uniform([5], [0, number]))
    assert divergence() < 0.3 * before

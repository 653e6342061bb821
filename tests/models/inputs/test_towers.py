"""The layers that embed items, histories and contexts."""

import numpy as np
import pytest
import tensorflow as tf

from models.inputs.encoder import HISTORY, Encoder, fit_axes
from models.inputs.towers import VIEWS, HistoryPooling, ItemEncoder, dropout, mean_rows

SEED = tf.constant([0, 1])


@pytest.fixture(scope="module")
def encoder(make_table, make_catalogue) -> Encoder:
    """An encoder with `a` and `b` in its vocabulary (rows 1 and 2) and three other items, the last with other words."""
    items = make_catalogue(
        {"item_id": "a"}, {"item_id": "b"}, {"item_id": "new"}, {"item_id": "newer"},
        {"item_id": "another", "text": "Another title"},
    )  # fmt: skip
    return Encoder(fit_axes([make_table({"item_id": "a"}, {"item_id": "b"})]), items)


@pytest.fixture(scope="module")
def items(encoder) -> ItemEncoder:
    """An item encoder of width 4."""
    tf.keras.utils.set_random_seed(0)
    layer = ItemEncoder(encoder, 4)
    layer.static(tf.constant([1]))
    return layer


@pytest.fixture
def pooling(encoder) -> HistoryPooling:
    """Pooling before training, when weights depend on places only."""
    return HistoryPooling(encoder, 2)


def history(vectors: list[list[float]], surface: int = 0) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Embedded entries `[1, 50, 2]`, most recent first, and their inputs."""
    embedded = np.full((1, HISTORY, 2), 99.0, np.float32)  # pooling must ignore places without an entry
    embedded[0, : len(vectors)] = np.reshape(vectors, (-1, 2))
    rows = np.zeros((1, HISTORY), np.int32)
    rows[0, : len(vectors)] = 1
    inputs = {
        "history": rows,
        "history_action": rows * 0,
        "history_age": np.zeros((1, HISTORY), np.float32),
        "surface": np.array([surface], np.int32),
    }
    return tf.constant(embedded), {name: tf.constant(value) for name, value in inputs.items()}


def test_the_mean_of_rows_leaves_out_padding():
    table = tf.keras.layers.Embedding(4, 2)
    rows = tf.constant([[1, 3, 0], [0, 0, 0], [2, 2, 3]])
    with tf.GradientTape() as tape:
        means = mean_rows(table, rows)
        value = tf.reduce_sum(means[2])
    vectors = table.embeddings.numpy()
    expected = [(vectors[1] + vectors[3]) / 2, [0, 0], (2 * vectors[2] + vectors[3]) / 3]
    np.testing.assert_allclose(means, expected, rtol=1e-5)
    gradient = tf.convert_to_tensor(tape.gradient(value, table.embeddings))
    np.testing.assert_allclose(gradient, [[0, 0], [0, 0], [2 / 3, 2 / 3], [1 / 3, 1 / 3]], rtol=1e-5)


def test_rows_of_padding_alone_have_no_gradient():
    table = tf.keras.layers.Embedding(1000, 64)
    for _ in range(20):
        tf.random.normal([1000, 64])  # fills memory that an uninitialised gradient would show
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(mean_rows(table, tf.zeros([5, 3], tf.int32)))
        assert value.numpy() == 0
        assert not tf.convert_to_tensor(tape.gradient(value, table.embeddings)).numpy().any()


def test_every_view_of_a_single_entry_is_that_entry(pooling):
    assert pooling(*history([[1.0, 2.0]])).numpy()[0] == pytest.approx(np.array([[1, 2]] * VIEWS))


def test_views_go_from_the_whole_history_to_the_last_entries(pooling):
    # Five entries of [1, 0], then forty-five of [0, 1]. The first view is the plain mean.
    views = pooling(*history([[1.0, 0.0]] * 5 + [[0.0, 1.0]] * 45)).numpy()[0, :, 0]
    assert views[0] == pytest.approx(5 / 50)
    assert (np.diff(views) > 0).all()


def test_an_empty_history_pools_to_zero(pooling):
    assert pooling(*history([])).numpy()[0].tolist() == [[0, 0]] * VIEWS


def test_the_weight_of_an_action_depends_on_the_surface(pooling):
    action = np.zeros(pooling.action.shape, np.float32)
    action[1, 1] = np.log(3)  # on surface 1 an entry of action 1 weighs three times as much
    pooling.action.assign(action)
    embedded, inputs = history([[1.0, 0.0], [0.0, 1.0]], surface=1)
    inputs["history_action"] = tf.constant(np.pad([[1]], [(0, 0), (0, HISTORY - 1)]).astype(np.int32))
    assert pooling(embedded, inputs).numpy()[0, 0] == pytest.approx([3 / 4, 1 / 4])
    elsewhere = inputs | {"surface": tf.constant([0])}
    assert pooling(embedded, elsewhere).numpy()[0, 0] == pytest.approx([1 / 2, 1 / 2])


def test_a_new_item_is_its_content_plus_the_out_of_vocabulary_row(encoder, items):
    new, in_vocabulary = items.static(tf.constant([3, 1])).numpy()
    ids = items.embeddings[0].get_weights()[0]
    unknown, a = encoder.catalogue.item_ids.numpy()[[3, 1], 0]
    assert unknown == 1
    # The two items differ in their ids only.
    assert new - ids[unknown] == pytest.approx(in_vocabulary - ids[a], abs=1e-6)


def test_new_items_with_other_words_have_other_vectors(items):
    new, newer, another = items.static(tf.constant([3, 4, 5])).numpy()
    np.testing.assert_array_equal(new, newer)
    assert np.abs(new - another).max() > 1e-3


def test_distinct_is_static_of_each_row_and_zero_for_row_0(items):
    pair, single = items.distinct([tf.constant([[1, 0], [2, 1]]), tf.constant([2])])
    first, second = items.static(tf.constant([1, 2])).numpy()
    np.testing.assert_allclose(pair, [[first, first * 0], [second, first]], rtol=1e-6)
    np.testing.assert_allclose(single, [second], rtol=1e-6)


def test_ids_are_dropped_if_there_is_a_seed(items):
    rows = tf.fill([2000], 1)
    kept, dropped = items.static(tf.constant([1, 3])).numpy()  # without its id, `a` has the vector of a new item
    trained = items.static(rows, SEED).numpy()
    without = (np.abs(trained - dropped) < 1e-7).all(axis=1)
    assert without.mean() == pytest.approx(0.1, abs=0.03)
    np.testing.assert_allclose(trained[~without], np.repeat([kept], (~without).sum(), 0), rtol=1e-6)
    np.testing.assert_array_equal(trained, items.static(rows, SEED))


def test_statistics_change_the_vector(items):
    stats = tf.constant([[0.0] * 7, [1.0] * 7])
    without, with_plays = items.dynamic(stats).numpy()
    assert np.abs(without - with_plays).max() > 1e-3


def test_dropout_keeps_the_mean_and_depends_on_the_seed():
    values = tf.ones([20_000])
    dropped = dropout(values, 0.2, SEED).numpy()
    assert (dropped == 0).mean() == pytest.approx(0.2, abs=0.02)
    assert dropped.mean() == pytest.approx(1, abs=0.02)
    np.testing.assert_array_equal(dropped, dropout(values, 0.2, SEED))
    assert dropout(values, 0.2, None) is values

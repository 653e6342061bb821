"""The encoders that the models are built from."""

import numpy as np
import pytest
import tensorflow as tf

from models.inputs.encoder import HISTORY, Encoder, fit_axes
from models.inputs.towers import VIEWS, HistoryPooling, ItemEncoder, dropout, mean_rows

SEED = tf.constant([0, 1])


@pytest.fixture(scope="module")
def encoder(make_table, make_catalogue) -> Encoder:
    """An encoder that was trained on `a` and `b`, rows 1 and 2; rows 3 to 5 are later, the last with other words."""
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
    """Pooling as it starts: places alone tell entries apart."""
    return HistoryPooling(encoder, 2)


def history(vectors: list[list[float]], surface: int = 0) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Embedded entries `[1, 50, 2]`, most recent first, and the inputs that go with them."""
    embedded = np.full((1, HISTORY, 2), 99.0, np.float32)  # where nothing is, anything may stand
    embedded[0, : len(vectors)] = np.reshape(vectors, (-1, 2))
    rows = np.zeros((1, HISTORY), np.int32)
    rows[0, : len(vectors)] = 1
    given = {
        "history": rows,
        "history_action": rows * 0,
        "history_age": np.zeros((1, HISTORY), np.float32),
        "surface": np.array([surface], np.int32),
    }
    return tf.constant(embedded), {name: tf.constant(value) for name, value in given.items()}


def test_the_mean_of_rows_leaves_out_what_is_none():
    table = tf.keras.layers.Embedding(4, 2)
    rows = tf.constant([[1, 3, 0], [0, 0, 0], [2, 2, 3]])
    with tf.GradientTape() as tape:
        found = mean_rows(table, rows)
        value = tf.reduce_sum(found[2])
    known = table.embeddings.numpy()
    np.testing.assert_allclose(found, [(known[1] + known[3]) / 2, [0, 0], (2 * known[2] + known[3]) / 3], rtol=1e-5)
    gradient = tf.convert_to_tensor(tape.gradient(value, table.embeddings))
    np.testing.assert_allclose(gradient, [[0, 0], [0, 0], [2 / 3, 2 / 3], [1 / 3, 1 / 3]], rtol=1e-5)


def test_every_view_of_one_entry_is_that_entry(pooling):
    assert pooling(*history([[1.0, 2.0]])).numpy()[0] == pytest.approx(np.array([[1, 2]] * VIEWS))


def test_views_go_from_all_that_was_heard_to_what_was_heard_last(pooling):
    # Five entries of [1, 0], then forty-five of [0, 1]: the first view is the plain mean.
    found = pooling(*history([[1.0, 0.0]] * 5 + [[0.0, 1.0]] * 45)).numpy()[0, :, 0]
    assert found[0] == pytest.approx(5 / 50)
    assert (np.diff(found) > 0).all()


def test_an_empty_history_pools_to_zero(pooling):
    assert pooling(*history([])).numpy()[0].tolist() == [[0, 0]] * VIEWS


def test_an_action_weighs_as_is_learned_for_the_surface(pooling):
    action = np.zeros(pooling.action.shape, np.float32)
    action[1, 1] = np.log(3)  # on surface 1 an entry of action 1 weighs three times as much
    pooling.action.assign(action)
    embedded, inputs = history([[1.0, 0.0], [0.0, 1.0]], surface=1)
    inputs["history_action"] = tf.constant(np.pad([[1]], [(0, 0), (0, HISTORY - 1)]).astype(np.int32))
    assert pooling(embedded, inputs).numpy()[0, 0] == pytest.approx([3 / 4, 1 / 4])
    elsewhere = inputs | {"surface": tf.constant([0])}
    assert pooling(embedded, elsewhere).numpy()[0, 0] == pytest.approx([1 / 2, 1 / 2])


def test_a_new_item_is_its_content_and_the_unknown_row(encoder, items):
    new, known = items.static(tf.constant([3, 1])).numpy()
    ids = items.embeddings[0].get_weights()[0]
    unknown, a = encoder.catalogue.item_ids.numpy()[[3, 1], 0]
    assert unknown == 1
    # The two differ in their ids alone.
    assert new - ids[unknown] == pytest.approx(known - ids[a], abs=1e-6)


def test_new_items_are_told_apart_by_their_words_alone(items):
    new, newer, another = items.static(tf.constant([3, 4, 5])).numpy()
    np.testing.assert_array_equal(new, newer)
    assert np.abs(new - another).max() > 1e-3


def test_distinct_is_static_of_each_row_and_nothing_for_row_0(items):
    pair, single = items.distinct([tf.constant([[1, 0], [2, 1]]), tf.constant([2])])
    one, two = items.static(tf.constant([1, 2])).numpy()
    np.testing.assert_allclose(pair, [[one, one * 0], [two, one]], rtol=1e-6)
    np.testing.assert_allclose(single, [two], rtol=1e-6)


def test_ids_are_dropped_where_there_is_a_seed(items):
    rows = tf.fill([2000], 1)
    kept, dropped = items.static(tf.constant([1, 3])).numpy()  # without its id, `a` is as a new item
    trained = items.static(rows, SEED).numpy()
    without = (np.abs(trained - dropped) < 1e-7).all(axis=1)
    assert without.mean() == pytest.approx(0.1, abs=0.03)
    np.testing.assert_allclose(trained[~without], np.repeat([kept], (~without).sum(), 0), rtol=1e-6)
    np.testing.assert_array_equal(trained, items.static(rows, SEED))


def test_statistics_count_whoever_the_item_is(items):
    stats = tf.constant([[0.0] * 7, [1.0] * 7])
    one, two = items.dynamic(stats).numpy()
    assert np.abs(one - two).max() > 1e-3


def test_dropout_keeps_the_mean_and_is_the_seeds():
    values = tf.ones([20_000])
    dropped = dropout(values, 0.2, SEED).numpy()
    assert (dropped == 0).mean() == pytest.approx(0.2, abs=0.02)
    assert dropped.mean() == pytest.approx(1, abs=0.02)
    np.testing.assert_array_equal(dropped, dropout(values, 0.2, SEED))
    assert dropout(values, 0.2, None) is values

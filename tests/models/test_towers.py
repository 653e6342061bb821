"""The encoders that both models are built from."""

import numpy as np
import pytest
import tensorflow as tf

from models.features import HISTORY, Encoder, fit_axes
from models.towers import RECENT, HistoryPooling, ItemEncoder, mean


@pytest.fixture(scope="module")
def encoder(make_table) -> Encoder:
    """An encoder that knows two items."""
    return Encoder(fit_axes(make_table({"item_id": "a"}, {"item_id": "b"})))


@pytest.fixture(scope="module")
def pooling(encoder) -> HistoryPooling:
    """Pooling as it starts: places weigh less and less, ages not at all."""
    layer = HistoryPooling(encoder)
    layer(*history(encoder, []))
    layer.action.set_weights([np.zeros_like(layer.action.get_weights()[0])])
    return layer


def history(encoder: Encoder, vectors: list[list[float]]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Embedded entries `[1, 50, 2]`, most recent first, and the inputs that go with them."""
    embedded = np.full((1, HISTORY, 2), 99.0, np.float32)  # where nothing is, anything may stand
    embedded[0, : len(vectors)] = np.reshape(vectors, (-1, 2))
    rows = np.zeros((1, HISTORY), np.int32)
    rows[0, : len(vectors)] = encoder.lookups["item_id"].size - 1
    inputs = {"history": rows, "history_action": rows * 0, "history_age": np.zeros((1, HISTORY), np.float32)}
    return tf.constant(embedded), {name: tf.constant(value) for name, value in inputs.items()}


def test_a_weighted_mean():
    embedded = tf.constant([[[1.0, 0.0], [0.0, 1.0], [9.0, 9.0]]])
    # (3 * [1, 0] + 1 * [0, 1]) / 4
    assert mean(embedded, tf.constant([[3.0, 1.0, 0.0]])).numpy().tolist() == [[0.75, 0.25]]


def test_the_mean_of_nothing_is_zero():
    assert mean(tf.ones([1, 3, 2]), tf.zeros([1, 3])).numpy().tolist() == [[0, 0]]


def test_one_entry_is_both_the_long_and_the_short_view(pooling, encoder):
    assert pooling(*history(encoder, [[1.0, 2.0]])).numpy() == pytest.approx(np.array([[1, 2, 1, 2]]))


def test_the_short_view_ends_after_five_entries(pooling, encoder):
    found = pooling(*history(encoder, [[1.0, 0.0]] * RECENT + [[0.0, 1.0]] * 5)).numpy()[0]
    assert found[2:] == pytest.approx([1, 0])
    assert 0 < found[1] < 0.5  # the later entries count in the long view, but less


def test_an_empty_history_pools_to_zero(pooling, encoder):
    assert pooling(*history(encoder, [])).numpy().tolist() == [[0, 0, 0, 0]]


def test_a_new_item_is_its_content_and_an_unknown_row(encoder, make_table):
    layer = ItemEncoder(encoder, 4)
    table = make_table({"item_id": "never seen"}, {"item_id": "a"})
    arrays = {name: tf.constant(value) for name, value in encoder.item_table(table).items()}
    new, known = layer(arrays["item_ids"], arrays["item_dense"]).numpy()
    ids = layer.ids.get_weights()[0]
    rows = encoder.lookups["item_id"](tf.constant(["never seen", "a"])).numpy()
    # The two differ in their ids alone.
    assert new - ids[rows[0]] == pytest.approx(known - ids[rows[1]], abs=1e-6)


def test_histories_and_candidates_share_one_table(encoder, make_table):
    layer = ItemEncoder(encoder, 4)
    arrays = encoder.item_table(make_table({}))
    layer(tf.constant(arrays["item_ids"]), tf.constant(arrays["item_dense"]))
    np.testing.assert_array_equal(layer.history(tf.constant([[1, 2]])).numpy()[0], layer.ids.get_weights()[0][1:3])


def test_ids_are_dropped_in_training_only(encoder):
    layer = ItemEncoder(encoder, 4)
    row = encoder.lookups["item_id"].size - 1
    rows = tf.fill([1, 2000], row)
    served = layer.history(rows).numpy()
    trained = layer.history(rows, training=True).numpy()
    assert (served == served[0, 0]).all()
    dropped = (trained != served).any(axis=2).mean()
    assert dropped == pytest.approx(0.1, abs=0.03)

"""TensorFlow Recommenders, which needs Keras 2, although TensorFlow comes with Keras 3."""

import pytest

pytestmark = pytest.mark.slow  # the import of TensorFlow takes 4 to 7 s


def test_keras_is_keras_2():
    """If this fails, TF_USE_LEGACY_KERAS was set too late or tf-keras is missing, and no model trains."""
    import tensorflow as tf
    import tf_keras

    assert tf_keras.__version__.startswith("2")
    assert tf.keras.Model is tf_keras.Model


def test_brute_force_finds_the_nearest_candidates():
    """If this fails, retrieval has no index, and the tests of our own index have no oracle."""
    import tensorflow as tf
    import tensorflow_recommenders as tfrs

    # Query (1, 0) scores the candidates by their first coordinate: 0.1, 0.9, 0.5.
    index = tfrs.layers.factorized_top_k.BruteForce(k=2)
    index.index(tf.constant([[0.1, 1.0], [0.9, 1.0], [0.5, 1.0]]), tf.constant(["a", "b", "c"]))
    scores, names = index(tf.constant([[1.0, 0.0]]))
    assert names.numpy().tolist() == [[b"b", b"c"]]
    assert scores.numpy()[0] == pytest.approx([0.9, 0.5])


def test_the_retrieval_task_has_a_gradient():
    """If this fails, the retrieval model does not train."""
    import tensorflow as tf
    import tensorflow_recommenders as tfrs

    task = tfrs.tasks.Retrieval()
    queries = tf.Variable([[1.0, 0.0], [0.0, 1.0]])
    with tf.GradientTape() as tape:
        loss = task(queries, tf.constant([[1.0, 0.0], [0.0, 1.0]]))
    # The loss is -log(e / (e + 1)) per row, summed over two rows.
    assert float(loss) == pytest.approx(2 * 0.31326, abs=1e-4)
    assert tape.gradient(loss, queries) is not None

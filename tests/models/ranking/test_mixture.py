"""The mixture of experts, which tasks share through gates."""

import numpy as np
import pytest
import tensorflow as tf

from models.ranking.mixture import MixtureOfExperts


@pytest.fixture
def layer() -> MixtureOfExperts:
    """Three tasks over two experts, built for inputs of width 5."""
    tf.keras.utils.set_random_seed(0)
    mixture = MixtureOfExperts(tasks=3, experts=2, width=4, tower=3)
    mixture(tf.zeros([1, 5]))
    return mixture


def close_gates(layer: MixtureOfExperts, chosen: list[int]) -> None:
    """Set the gates so that each task uses one expert only."""
    for gate, expert in zip(layer.gates, chosen, strict=True):
        gate.set_weights([np.zeros((5, 2)), np.where(np.arange(2) == expert, 50.0, -50.0)])


def silence(layer: MixtureOfExperts, expert: int) -> None:
    """Set the weights of one expert to 0."""
    kernel, bias = layer.experts.get_weights()
    kernel[:, 4 * expert : 4 * expert + 4] = 0
    layer.experts.set_weights([kernel, bias])


@pytest.mark.parametrize("shape", [(6, 5), (6, 2, 5)], ids=["examples", "candidates of examples"])
def test_each_task_has_one_output(layer, shape):
    assert layer(tf.ones(shape)).shape == (*shape[:-1], 3)


def test_rows_do_not_affect_each_other(layer):
    inputs = tf.random.stateless_normal([4, 3, 5], [1, 2])
    whole = layer(inputs).numpy()
    np.testing.assert_allclose(layer(inputs[2:3, 1:2]).numpy()[0, 0], whole[2, 1], rtol=1e-5)


def test_a_task_depends_on_the_experts_that_its_gate_chooses(layer):
    inputs = tf.random.stateless_normal([8, 5], [3, 4])
    close_gates(layer, [0, 1, 1])
    before = layer(inputs).numpy()
    silence(layer, 0)
    after = layer(inputs).numpy()
    assert not np.allclose(after[:, 0], before[:, 0])
    np.testing.assert_allclose(after[:, 1:], before[:, 1:], rtol=1e-5)


def test_equal_experts_make_the_gates_irrelevant(layer):
    # The shares sum to 1, so any mixture of equal experts equals each of them.
    kernel, bias = layer.experts.get_weights()
    kernel[:, 4:] = kernel[:, :4]
    layer.experts.set_weights([kernel, bias])
    inputs = tf.random.stateless_normal([8, 5], [5, 6])
    open_gates = layer(inputs).numpy()
    close_gates(layer, [0, 1, 0])
    np.testing.assert_allclose(layer(inputs).numpy(), open_gates, rtol=1e-4, atol=1e-6)

"""The action head learns which action listeners take on an item, independently of how likely the item is."""

import math
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from events import schema
from models.sequence.actions import ActionHead
from models.sequence.fit import fit
from models.sequence.histories import Histories
from tests.models.sequence.conftest import ITEMS
from tests.models.sequence.test_fit import CONFIG, held_out

UNSTATED, PLAY, SKIP = 0, 2, 3  # rows of the action vocabulary; row 1 is for unknown actions


def test_the_loss_is_the_mean_over_stated_actions():
    head = ActionHead(4, 3, rate=0.5)
    state, item = tf.ones([3, 3]), tf.ones([3, 3])
    head(state, item)
    head.out.set_weights([np.zeros((6, 4)), np.log([0.1, 0.2, 0.3, 0.4])])
    # -(log 0.1 + log 0.4) / 2; the third row states no action
    assert float(head.loss(state, item, tf.constant([0, 3, -1]), None)) == pytest.approx(-math.log(0.04) / 2)
    assert float(head.loss(state, item, tf.constant([-1, -1, -1]), None)) == 0.0


def skipping_even_rows(rounds: Histories) -> Histories:
    """The same listeners, who skip every item with an even row."""
    skipped = rounds.item % 2 == 0
    return replace(rounds, action=np.where(skipped, SKIP, PLAY).astype(np.int32), target=~skipped)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax"])
def test_the_head_learns_which_items_are_skipped(loss, rounds, encoder):
    train, choices = held_out(skipping_even_rows(rounds))
    config = replace(CONFIG, loss=loss, negatives=16, epochs=8, action_weight=1.0)
    model, _ = fit(train, choices, encoder, config, seed=0)
    vectors = model.listener_vectors({name: tf.constant(values) for name, values in choices.inputs.items()})
    probabilities = model.actions_of(vectors, model.item_vectors(tf.constant(choices.item))).numpy()
    assert probabilities.shape == (len(choices.item), len(schema.INTERACTIONS))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    skip = probabilities[:, schema.INTERACTIONS.index(schema.SKIP)]
    assert skip[choices.item % 2 == 0].min() > 0.9
    assert skip[choices.item % 2 == 1].max() < 0.1


@pytest.mark.slow
def test_the_head_learns_nothing_if_the_log_states_no_actions(rounds, encoder):
    train, choices = held_out(replace(rounds, action=np.full_like(rounds.action, UNSTATED)))
    model, _ = fit(train, choices, encoder, replace(CONFIG, epochs=1, action_weight=1.0), seed=0)
    state, item = tf.zeros([1, CONFIG.dim]), model.item_vectors(tf.range(1, ITEMS)[:1])
    np.testing.assert_array_equal(model.done_with.out.bias, 0)
    assert np.isfinite(model.actions_of(state, item)).all()

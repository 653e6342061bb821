"""The action head: it learns what is done with which item, and says so apart from how likely the item is."""

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

UNSTATED, PLAY, SKIP = 0, 2, 3  # rows of the lookup of actions: 1 is for unknown ones


def test_the_loss_is_the_mean_over_what_the_log_states():
    head = ActionHead(4, 3, rate=0.5)
    state, item = tf.ones([3, 3]), tf.ones([3, 3])
    head(state, item)
    head.out.set_weights([np.zeros((6, 4)), np.log([0.1, 0.2, 0.3, 0.4])])
    # -(log 0.1 + log 0.4) / 2; the third row states no action
    assert float(head.loss(state, item, tf.constant([0, 3, -1]), None)) == pytest.approx(-math.log(0.04) / 2)
    assert float(head.loss(state, item, tf.constant([-1, -1, -1]), None)) == 0.0


def even_ones_skipped(rounds: Histories) -> Histories:
    """The same listeners, who skip every item of an even row."""
    skipped = rounds.item % 2 == 0
    return replace(rounds, action=np.where(skipped, SKIP, PLAY).astype(np.int32), target=~skipped)


@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax"])
def test_it_learns_what_is_skipped(loss, rounds, encoder):
    train, asked = held_out(even_ones_skipped(rounds))
    config = replace(CONFIG, loss=loss, negatives=16, epochs=8, action_weight=1.0)
    model, _ = fit(train, asked, encoder, config, seed=0)
    vectors = model.listener_vectors({name: tf.constant(values) for name, values in asked.inputs.items()})
    likely = model.actions_of(vectors, model.item_vectors(tf.constant(asked.item))).numpy()
    assert likely.shape == (len(asked.item), len(schema.INTERACTIONS))
    np.testing.assert_allclose(likely.sum(axis=1), 1, atol=1e-5)
    skip = likely[:, schema.INTERACTIONS.index(schema.SKIP)]
    assert skip[asked.item % 2 == 0].min() > 0.9
    assert skip[asked.item % 2 == 1].max() < 0.1


def test_what_the_log_does_not_state_teaches_it_nothing(rounds, encoder):
    train, asked = held_out(replace(rounds, action=np.full_like(rounds.action, UNSTATED)))
    model, _ = fit(train, asked, encoder, replace(CONFIG, epochs=1, action_weight=1.0), seed=0)
    state, item = tf.zeros([1, CONFIG.dim]), model.item_vectors(tf.range(1, ITEMS)[:1])
    np.testing.assert_array_equal(model.done_with.out.bias, 0)
    assert np.isfinite(model.actions_of(state, item)).all()

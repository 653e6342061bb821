"""Initial item embeddings: items of the same listeners are near each other, and items nobody chose are zero."""

import numpy as np
import pytest

from models.fitting.loop import start
from models.inputs.towers import SPREAD
from models.sequence.histories import Histories
from models.sequence.initial import begin, co_listening
from models.sequence.model import SequenceModel
from models.training_config import SequenceConfig


@pytest.fixture(scope="module")
def two_tastes() -> Histories:
    """30 listeners of items 1 to 5 and 10 of items 6 to 10, four each; item 11 is only skipped, 12 is absent."""
    rng = np.random.default_rng(0)
    tastes = [np.arange(1, 6)] * 30 + [np.arange(6, 11)] * 10
    histories = Histories.of_items([np.append(rng.permutation(taste)[:4], 11).astype(np.int32) for taste in tastes])
    histories.target[histories.item == 11] = False
    return histories


def test_items_of_the_same_listeners_start_near_each_other(two_tastes):
    vectors = co_listening(two_tastes, 13, 8, seed=0)
    unit = vectors[1:11] / np.linalg.norm(vectors[1:11], axis=1, keepdims=True)
    near = unit @ unit.T
    assert near[:5, 5:].max() < near[:5, :5].min()
    assert near[:5, 5:].max() < near[5:, 5:].min()
    assert np.sqrt(np.mean(vectors[1:11] ** 2)) == pytest.approx(SPREAD, rel=1e-5)
    assert not vectors[[0, 11, 12]].any()  # row 0, the skipped item, the absent item


def test_vectors_of_two_items_computed_by_hand():
    # Two listeners with one item each. With the prior of 1 both entries weigh 1/2, each in its own direction.
    vectors = co_listening(Histories.of_items([np.array([n], np.int32) for n in (1, 2)]), 3, 8, seed=0)
    assert vectors.shape == (3, 2)
    np.testing.assert_allclose(vectors @ vectors.T, np.diag([0, 2, 2]) * SPREAD**2, atol=1e-8)


def test_the_same_seed_gives_the_same_vectors(two_tastes):
    np.testing.assert_array_equal(co_listening(two_tastes, 13, 8, 3), co_listening(two_tastes, 13, 8, 3))


def test_only_rows_of_the_vocabulary_are_initialised(encoder, rounds):
    start(0)
    counts = np.bincount(rounds.item, minlength=encoder.catalogue.release_ts.shape[0])
    config = SequenceConfig(dim=16, heads=2, blocks=1, length=12)
    model = SequenceModel(encoder, config, counts, timed=True, unseen=False)
    model.item_vectors(np.array([1], np.int32))
    table = model.items.embeddings[0].embeddings
    before = table.numpy()
    few = rounds.clip(np.where(np.arange(len(rounds)) < 5, 2, 0))
    begin(model, few, seed=0)
    values, absent = table.numpy(), np.setdiff1d(np.arange(1, 20), few.item)
    assert not values[absent + 1].any()  # the vocabulary starts at row 2
    assert values[few.item + 1].any(axis=1).all()
    begin(model, rounds, seed=0)
    moved = (table.numpy() != before).any(axis=1)
    assert moved.tolist() == [False, False] + [True] * 19  # padding and the out-of-vocabulary row, which is i19's

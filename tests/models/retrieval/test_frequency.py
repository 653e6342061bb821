"""How often items come up in a stream."""

import numpy as np
import pytest
import tensorflow as tf

from models.retrieval.frequency import MEMORY, FrequencyEstimator


def estimator(size: int, batches) -> FrequencyEstimator:
    """An estimator that saw batches of rows."""
    found = FrequencyEstimator(size)
    update = tf.function(found.update, input_signature=[tf.TensorSpec([None], tf.int32)])
    for batch in batches:
        update(tf.constant(batch, tf.int32))
    return found


def test_a_gap_worked_by_hand():
    # Batches of four. Row 1 is drawn once in draws 1 to 4, not in 5 to 8, twice in 9 to 12: gaps of 4, then of
    # (12 - 4) / 2 = 4 twice. Row 2 comes up three times in 1 to 4 and never again: gaps of 4/3.
    # Row 3: four in 5 to 8, 8 / 4 = 2 each; two in 9 to 12, (12 - 8) / 2 = 2 each.
    found = estimator(5, [[1, 2, 2, 2], [3, 3, 3, 3], [1, 3, 1, 3]])
    assert found.gap.numpy() == pytest.approx([0, 4, 4 / 3, 2, 0])
    assert found.probability(tf.constant([1, 2, 3])).numpy() == pytest.approx([1 / 4, 3 / 4, 1 / 2])


def test_the_first_gaps_are_averaged_evenly():
    # Draws 1, 3 and 9: gaps of 1, 2 and 6, three on average.
    assert estimator(2, [[1], [0], [1], *[[0]] * 5, [1]]).gap.numpy()[1] == pytest.approx(3)


def test_what_was_never_seen_is_as_rare_as_one_in_all_draws_and_the_next():
    found = estimator(3, [[0, 0, 0, 1]] * 5)
    assert found.probability(tf.constant([[2]])).numpy() == pytest.approx(np.array([[1 / 21]]))
    assert float(FrequencyEstimator(3).probability(tf.constant(1))) == 1  # before the first draw


@pytest.mark.parametrize("batch", [1, 16, 256], ids=["one by one", "some repeat", "nearly all repeat"])
def test_estimates_come_to_the_true_shares(batch):
    shares = np.array([0.5, 0.3, 0.15, 0.05])
    draws = np.random.default_rng(0).choice(4, (40_000 // batch if batch > 1 else 6000, batch), p=shares)
    found = estimator(4, draws).probability(tf.range(4)).numpy()
    # A mean of some 200 gaps is right to about a tenth.
    assert found == pytest.approx(shares, rel=0.25)


def test_estimates_follow_a_stream_that_changes():
    # Row 1 first has half of the draws, then a tenth; after ten times the memory the first half is forgotten.
    rng = np.random.default_rng(0)
    before, after = (rng.choice(2, (int(count), 64), p=[1 - p, p]) for count, p in ((50, 0.5), (MEMORY * 2, 0.1)))
    assert float(estimator(2, before).probability(tf.constant(1))) == pytest.approx(0.5, rel=0.25)
    assert float(estimator(2, [*before, *after]).probability(tf.constant(1))) == pytest.approx(0.1, rel=0.25)


def test_probabilities_are_within_0_and_1():
    found = estimator(3, [[1] * 8, [2] * 8, [1, 2] * 4]).probability(tf.range(3)).numpy()
    assert ((found > 0) & (found <= 1)).all()

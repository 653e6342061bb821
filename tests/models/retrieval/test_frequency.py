"""Estimates of how often items occur in a stream."""

import numpy as np
import pytest
import tensorflow as tf

from models.retrieval.frequency import MEMORY, FrequencyEstimator


def estimator(size: int, batches) -> FrequencyEstimator:
    """An estimator after some batches of rows."""
    estimates = FrequencyEstimator(size)
    update = tf.function(estimates.update, input_signature=[tf.TensorSpec([None], tf.int32)])
    for batch in batches:
        update(tf.constant(batch, tf.int32))
    return estimates


def test_a_gap_worked_by_hand():
    # Batches of four draws. Row 1 occurs once in the first batch and twice in the third: a gap of 4, then two gaps of
    # (12 - 4) / 2 = 4. Row 2 occurs three times in the first batch: gaps of 4/3.
    # Row 3 occurs four times in the second and twice in the third: gaps of 8 / 4 = 2, then of (12 - 8) / 2 = 2.
    estimates = estimator(5, [[1, 2, 2, 2], [3, 3, 3, 3], [1, 3, 1, 3]])
    assert estimates.gap.numpy() == pytest.approx([0, 4, 4 / 3, 2, 0])
    assert estimates.probability(tf.constant([1, 2, 3])).numpy() == pytest.approx([1 / 4, 3 / 4, 1 / 2])


def test_the_first_gaps_are_averaged_evenly():
    # Row 1 is draw 1, 3 and 9: gaps of 1, 2 and 6, whose mean is 3.
    assert estimator(2, [[1], [0], [1], *[[0]] * 5, [1]]).gap.numpy()[1] == pytest.approx(3)


def test_an_unseen_row_counts_as_the_next_draw():
    estimates = estimator(3, [[0, 0, 0, 1]] * 5)
    assert estimates.probability(tf.constant([[2]])).numpy() == pytest.approx(np.array([[1 / 21]]))
    assert float(FrequencyEstimator(3).probability(tf.constant(1))) == 1  # before the first draw


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 16, 256], ids=["one by one", "some repeat", "nearly all repeat"])
def test_estimates_converge_to_the_true_shares(batch):
    shares = np.array([0.5, 0.3, 0.15, 0.05])
    draws = np.random.default_rng(0).choice(4, (40_000 // batch if batch > 1 else 6000, batch), p=shares)
    estimates = estimator(4, draws).probability(tf.range(4)).numpy()
    # The mean of some 200 gaps is accurate to about a tenth.
    assert estimates == pytest.approx(shares, rel=0.25)


def test_estimates_follow_a_stream_that_changes():
    # Row 1 first has half of the draws, then a tenth of 25,600 draws, which is over ten times the memory of 200 gaps.
    rng = np.random.default_rng(0)
    before, after = (rng.choice(2, (int(count), 64), p=[1 - p, p]) for count, p in ((50, 0.5), (MEMORY * 2, 0.1)))
    assert float(estimator(2, before).probability(tf.constant(1))) == pytest.approx(0.5, rel=0.25)
    assert float(estimator(2, [*before, *after]).probability(tf.constant(1))) == pytest.approx(0.1, rel=0.25)


def test_probabilities_are_within_0_and_1():
    estimates = estimator(3, [[1] * 8, [2] * 8, [1, 2] * 4]).probability(tf.range(3)).numpy()
    assert ((estimates > 0) & (estimates <= 1)).all()

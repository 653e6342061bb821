"""Slates of examples with the same query."""

import tensorflow as tf

from models.ranking.slates import SLATE, slates


def test_a_slate_is_a_run_of_examples_with_the_same_query():
    first, slate, place = slates(tf.constant([7, 7, 3, 7]))
    assert first.numpy().tolist() == [0, 2, 3]
    assert (slate.numpy().tolist(), place.numpy().tolist()) == ([0, 0, 1, 2], [0, 1, 0, 0])
    first, slate, place = slates(tf.zeros(SLATE + 2, tf.int64))
    assert (first.numpy().tolist(), place.numpy().tolist()) == ([0, SLATE], [*range(SLATE), 0, 1])
    assert slate.numpy().tolist() == [0] * SLATE + [1, 1]

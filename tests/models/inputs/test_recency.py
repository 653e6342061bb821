"""An example's weight halves with each half-life of its age."""

import numpy as np

from models.inputs.recency import DAY, EVEN, Recency

END = 100 * DAY


def test_weights_halve_with_each_half_life_before_the_end():
    ts = np.array([END, END - 14 * DAY, END - 28 * DAY, END - 42 * DAY])
    assert Recency(END, 14).weights(ts).tolist() == [1, 0.5, 0.25, 0.125]


def test_examples_after_the_end_weigh_1():
    assert Recency(END, 7).weights(np.array([END + DAY, END + 90 * DAY])).tolist() == [1, 1]


def test_without_a_half_life_all_weigh_the_same():
    assert EVEN.weights(np.array([0, END])).tolist() == [1, 1]
    assert Recency(END, 0).weights(np.array([0, END])).dtype == np.float32

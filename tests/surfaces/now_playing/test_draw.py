"""The Plackett-Luce draw: exact propensities, by enumeration."""

from itertools import permutations
from math import exp

import numpy as np
import pytest

from surfaces.now_playing.draw import draw

SCORES = np.array([1.0, 0.5, 0.0, -0.5])


def chance(order, temperature):
    """The probability of an ordered list, place by place: exp(s) / the sum over what is left."""
    left, product = list(range(len(SCORES))), 1.0
    for item in order:
        product *= exp(SCORES[item] / temperature) / sum(exp(SCORES[i] / temperature) for i in left)
        left.remove(item)
    return product


@pytest.mark.parametrize("temperature", [1.0, 0.4])
def test_the_propensities_are_those_of_the_enumeration(temperature):
    assert sum(chance(order, temperature) for order in permutations(range(4), 2)) == pytest.approx(1)
    for seed in range(20):
        order, propensities = draw(SCORES, 2, seed, temperature)
        assert np.prod(propensities) == pytest.approx(chance(order.tolist(), temperature), rel=1e-12)


def test_lists_are_drawn_as_often_as_their_propensities_say():
    rounds = 1_500
    drawn = [tuple(draw(SCORES, 2, seed, 1.0)[0].tolist()) for seed in range(rounds)]
    for order in permutations(range(4), 2):
        expected = chance(order, 1.0)
        spread = (expected * (1 - expected) / rounds) ** 0.5
        assert abs(drawn.count(order) / rounds - expected) < 5 * spread


def test_the_same_seed_draws_the_same_list():
    first, second, other = draw(SCORES, 4, 7), draw(SCORES, 4, 7), draw(SCORES, 4, 8)
    assert first[0].tolist() == second[0].tolist()
    assert first[0].tolist() != other[0].tolist() or first[1].tolist() == other[1].tolist()


def test_what_may_not_play_is_never_drawn():
    order, propensities = draw(np.array([0.0, -np.inf, 3.0]), 3, 0)
    assert sorted(order.tolist()) == [0, 2]
    assert propensities[-1] == 1
    assert [len(part) for part in draw(np.array([-np.inf]), 3, 0)] == [0, 0]
    assert [len(part) for part in draw(np.zeros(0), 3, 0)] == [0, 0]


def test_scores_far_apart_keep_propensities_above_0():
    _, propensities = draw(np.array([40.0, 0.0, -40.0]), 3, 0)
    assert (propensities > 0).all()


def test_propensities_are_exact_however_far_apart_the_scores_are():
    scores = np.array([0.0, -200.0, -200.0, -201.0])  # exp(-200 / 0.2) is 0 in float64
    for seed in range(10):
        order, propensities = draw(scores, 4, seed, 0.2)
        assert order[0] == 0
        assert (propensities[0], propensities[-1]) == (1, 1)
        assert ((propensities > 0) & (propensities <= 1)).all()
        assert propensities[1] == pytest.approx(exp((scores[order[1]] + 200) / 0.2) / (2 + exp(-5)))

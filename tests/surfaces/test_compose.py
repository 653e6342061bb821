"""The slate: the best by reward, and a bounded share of places for uncertain candidates."""

import math

import numpy as np
import pytest

from surfaces.compose import slate
from surfaces.request import NO_EXPLORATION, Exploration


# Candidates 0 to 7 have the rewards 10, 9, 8, 7, 6, 5, 4 and 3. The bonus is 4, and a list has four places.
@pytest.mark.parametrize(
    ("uncertain", "budget", "expected", "explored"),
    [
        pytest.param({5}, 0.0, [0, 1, 2, 3], set(), id="no budget"),
        pytest.param({4, 5}, 0.25, [0, 1, 4, 2], {4}, id="one place goes to the better of two"),
        pytest.param({4, 5}, 0.5, [0, 1, 4, 5], {4, 5}, id="two places"),
        pytest.param({5}, 0.5, [0, 1, 5, 2], {5}, id="5 + 4 takes one place, the better of 8 and 7 keeps the other"),
        pytest.param({7}, 0.25, [0, 1, 2, 3], set(), id="3 + 4 is not more than 7"),
        pytest.param({3, 5}, 0.25, [0, 1, 2, 3], set(), id="5 + 4 is less than 7 + 4"),
        pytest.param({4}, 0.24, [0, 1, 2, 3], set(), id="0.24 of 4 places is none"),
        pytest.param(set(), 0.5, [0, 1, 2, 3], set(), id="nothing is uncertain"),
    ],
)
def test_slate(uncertain, budget, expected, explored):
    reward = np.arange(10.0, 2.0, -1.0)
    uncertainty = np.array([float(n in uncertain) for n in range(8)])

    assert slate(reward, uncertainty, 4, Exploration(budget, bonus=4.0)) == (expected, explored)


def test_of_equal_rewards_the_candidate_that_was_found_first_comes_first():
    assert slate(np.zeros(3), np.zeros(3), 2, NO_EXPLORATION) == ([0, 1], set())


def test_a_list_that_holds_every_candidate_explores_nothing():
    assert slate(np.array([0.1, 0.9]), np.ones(2), 5, Exploration(0.5)) == ([1, 0], set())


@pytest.mark.parametrize("budget", [0.1, 0.29, 0.5])
def test_the_budget_holds_over_many_requests(budget):
    rng = np.random.default_rng(0)
    explored = places = 0
    for _ in range(300):
        n, k = int(rng.integers(1, 60)), int(rng.integers(1, 25))
        reward, uncertainty = rng.random(n), rng.random(n)
        chosen, new = slate(reward, uncertainty, k, Exploration(budget, bonus=5.0))

        best = np.argsort(-reward)[:k].tolist()
        upper_half = math.ceil(len(best) / 2)
        assert len(set(chosen)) == len(chosen) == min(n, k)
        assert chosen[:upper_half] == best[:upper_half]  # exploration stays out of the upper half
        assert new == set(chosen) - set(best)
        assert len(new) <= budget * len(chosen) + 1e-9
        explored, places = explored + len(new), places + len(chosen)
    assert 0 < explored / places <= budget

"""The benchmark of Home: its peers by hand, its world's true value, and what the estimates make of it."""

import numpy as np
import pytest

from benchmarks.surfaces import composition, layout
from surfaces.home.layout import LayoutPolicy

# Item 1 is the same as item 0; item 2 is like neither, and less relevant than both.
RELEVANCE = np.array([2.0, 1.9, 1.0])
DIRECTIONS = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])


@pytest.mark.parametrize("method", [composition.mmr, composition.dpp])
def test_a_method_leaves_out_the_same_item_for_another(method):
    assert method(RELEVANCE, DIRECTIONS, weight=1.5, k=2) == [0, 2]


def test_mmr_without_weight_is_the_order_of_relevance():
    assert composition.mmr(RELEVANCE, DIRECTIONS, weight=0.0, k=3) == [0, 1, 2]


def test_calibration_halves_the_distance():
    result = composition.run(requests=25)
    assert result["targets"]["kl_ratio"]["holds"]
    assert result["targets"]["reward_loss"]["holds"]


@pytest.mark.slow
def test_the_true_value_is_the_mean_of_many_pages():
    world, policy = layout.World.build(0), LayoutPolicy(temperature=2.0)
    pages = world.log(policy, 2000, np.random.default_rng(0))
    rewards = np.array([page.reward for page in pages])
    # Rewards of a listener hang together, so the error is that of the listeners' means.
    error = rewards.reshape(-1, layout.PAGES).mean(axis=1).std() / np.sqrt(2000)
    assert rewards.mean() == pytest.approx(world.true_value(policy), abs=3 * error)


@pytest.mark.slow
def test_most_intervals_contain_the_true_value_and_few_with_wrong_propensities():
    result = layout.run(repeats=8, listeners=100, seed=1)
    assert min(result["covered"].values()) >= 6
    assert result["covered_with_wrong_propensities"] <= 4

"""What arms change on Home: the layout policy, the rules and the exploration."""

import numpy as np
import pytest

from surfaces.home.arms import home_of
from surfaces.home.layout import LayoutPolicy
from surfaces.home.rules import HomeRules
from surfaces.request import Exploration

SHELVES = ("for_you", "new_releases", "popular:SE")
QUALITIES = np.array([[0.5, 0.1, 0.6], [0.2, 0.3, 0.6], [0.1, 0.0, 0.2]])
CONTEXT = np.array([0.0, 1.0, 0.0, 0.5])
LEARNED = LayoutPolicy(3, ("popular",), np.arange(9.0), np.eye(9) * 0.01, temperature=0.25, optimism=1.0)


def logits(policy):
    return policy.logits(SHELVES, QUALITIES, CONTEXT)


@pytest.mark.parametrize("policy", [LayoutPolicy(), LEARNED])
def test_a_weight_raises_the_shelves_of_its_kind_and_no_others(policy):
    raised, _, _ = home_of(policy, HomeRules(), Exploration(), {"weights.popular": 0.5, "weights.new_releases": -1.0})
    expected = np.array([0.0, -1.0, 0.5]) / policy.temperature
    assert logits(raised) - logits(policy) == pytest.approx(expected)
    assert raised.version == policy.version


def test_rules_exploration_and_layout_are_set_by_name():
    policy, rules, exploration = home_of(
        LEARNED, HomeRules(), Exploration(), {"columns": 4, "exploration.bonus": 0.7, "layout.temperature": 2.0}
    )
    assert rules == HomeRules(columns=4)
    assert exploration == Exploration(bonus=0.7)
    assert (policy.temperature, policy.version) == (2.0, 3)


def test_an_arm_may_go_back_to_the_policy_before_learning():
    policy, _, _ = home_of(LEARNED, HomeRules(), Exploration(), {"layout.learned": False})
    assert (policy.version, policy.kinds) == (0, ())

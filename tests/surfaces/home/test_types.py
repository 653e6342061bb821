"""The rules of a page's inputs."""

import math

import numpy as np
import pytest

from segue.errors import InputError
from surfaces.home.context import HomeContext
from surfaces.home.rules import HomeRules
from tests.support.home_pages import SATURDAY, context_of, pool_of


@pytest.mark.parametrize(
    "knobs",
    [
        {"rows": 0},
        {"fewest_items": 0},
        {"per_creator": -1},
        {"diversity": -0.1},
        {"fit": -1},
        {"calibration": math.inf},
        {"draw_temperature": 0},
        {"contenders": 0},
    ],
    ids=lambda knobs: next(iter(knobs)),
)
def test_broken_rules_are_refused(knobs):
    with pytest.raises(InputError, match=next(iter(knobs))):
        HomeRules(**knobs)


@pytest.mark.parametrize(
    ("hour", "mix", "plays"),
    [(24, {"music": 1.0}, 0), (8, {"music": 0.9}, 0), (8, {}, 0), (8, {"music": 1.5, "podcast": -0.5}, 0),
     (8, {"music": 1.0}, -1)],
    ids=["hour", "sum", "no mix", "negative share", "negative plays"],
)  # fmt: skip
def test_a_broken_context_is_refused(hour, mix, plays):
    with pytest.raises(InputError):
        HomeContext("u1", SATURDAY, hour, mix, plays)


def test_the_features_of_a_context_by_hand():
    # Eight o'clock is a third of the circle; 2027-01-16 is a Saturday; 500 plays are full experience.
    features = context_of(plays=500).features
    assert features == pytest.approx([math.sin(2 * math.pi / 3), -0.5, 1, 1])


def test_midnight_is_next_to_eleven():
    late, early = (HomeContext("u1", SATURDAY, hour, {"music": 1.0}).features for hour in (23, 0))
    assert np.abs(late - early).max() < 0.3


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"uncertainty": np.zeros(1)}, "rows of `uncertainty`"),
        ({"scores": {"play": np.zeros(3)}}, "rows of `play`"),
        ({"item_ids": np.array(["a", "a"])}, "an item twice"),
    ],
    ids=["a short column", "a long score", "an item twice"],
)
def test_a_broken_pool_is_refused(columns, message):
    with pytest.raises(InputError, match=message):
        pool_of([1, 2], **columns)


def test_an_item_without_reward_is_refused():
    with pytest.raises(InputError, match="finite"):
        pool_of([1, math.nan])


def test_equal_rewards_have_no_spread():
    assert pool_of([0.3, 0.3]).relevance.tolist() == [0, 0]

"""Learning of a layout policy from logged pages."""

import numpy as np
import pytest

from segue.errors import InputError
from surfaces.home.layout import LayoutPolicy, design
from surfaces.home.layout_record import LayoutRecord
from surfaces.home.learning import LoggedPage, RewardModel, balance, between, examination, fit
from tests.support.home_pages import KINDS, context_of, logged

WORTH = (0.2, 0.8, 0.5, 0.3)  # of the kinds, in their order
SHELVES = (KINDS, np.zeros((4, 3)), context_of().features)
EVEN = LayoutPolicy(temperature=1e6)


@pytest.fixture(scope="module")
def model() -> RewardModel:
    """Fitted to pages whose shelves were drawn evenly, except that `for_you` was three times as likely as others."""
    mean = np.zeros(9)
    mean[4] = np.log(3)
    logging = LayoutPolicy(0, ("for_you",), mean, np.zeros((9, 9)), temperature=1.0)
    return fit(logged(logging, WORTH, listeners=300, pages=5, seed=1))


def test_the_model_finds_what_shelves_are_worth(model):
    layouts = np.array([[number] for number in range(4)])
    record = EVEN.draw(*SHELVES, 1, 1, np.random.default_rng(0))
    assert model.rewards(record, layouts)[:, 0] == pytest.approx(WORTH, abs=0.08)


def test_the_model_finds_what_rows_are_worth(model):
    assert model.examination == pytest.approx([1, 0.6, 0.4], abs=0.1)


def test_rows_after_the_end_bring_nothing(model):
    record = EVEN.draw(*SHELVES, 1, 3, np.random.default_rng(0))
    assert model.rewards(record, np.array([[1, -1, -1]]))[0, 1:].tolist() == [0, 0]


def test_the_policy_prefers_what_is_worth_more(model):
    policy = model.policy(version=7, optimism=0)
    assert policy.version == 7
    assert np.argsort(policy.logits(*SHELVES)).tolist() == np.argsort(WORTH).tolist()


def test_more_pages_make_the_policy_surer():
    features = design(KINDS, *SHELVES)
    contrast = features[0] - features[1]  # one kind of shelf instead of another
    few, many = (fit(logged(EVEN, WORTH, count, 2, seed=3)).covariance for count in (50, 400))
    assert contrast @ many @ contrast < contrast @ few @ contrast / 2


def test_the_order_of_the_pages_has_no_influence():
    pages = logged(EVEN, WORTH, 40, 2, seed=4)
    assert fit(pages).mean == pytest.approx(fit(pages[::-1]).mean, abs=1e-9)


def test_pages_without_shelves_teach_nothing():
    record = LayoutRecord((), np.zeros((0, 3)), np.zeros(4), (), 3, 7, np.ones(0))
    with pytest.raises(InputError, match="pages with shelves"):
        fit([LoggedPage(record, np.zeros(0), "u1")])


def test_the_balance_by_hand():
    # Of four shelves the first was drawn with a chance of 0.4, then one of three with 0.1: 0.25 / 0.4 and 0.333 / 0.1.
    record = LayoutRecord(KINDS, np.zeros((4, 3)), np.zeros(4), (2, 0), 2, 2, np.array([0.4, 0.1]))
    assert balance(record) == pytest.approx([0.625, 10 / 3])


def test_the_examination_by_hand():
    # Row 0: (2 * 1 + 3 * 1 * 2) / (1 + 3 * 4) = 8 / 13; row 1 half of it; row 2 nothing, which counts as 0.05.
    rewards, scores = np.array([2, 1, 8 / 26, 0]), np.array([1, 2, 1, 1.0])
    row, weights = np.array([0, 0, 1, 2]), np.array([1, 3, 1, 1.0])
    assert examination(rewards, scores, row, weights) == pytest.approx([1, 0.5, 0.05])


def test_no_reward_at_all_says_nothing_of_rows():
    assert examination(np.zeros(2), np.zeros(2), np.array([0, 1]), np.ones(2)).tolist() == [1, 1]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_step_lies_between_the_logits(share):
    rng = np.random.default_rng(0)
    old = LayoutPolicy(1, ("popular",), rng.normal(size=9), np.zeros((9, 9)), temperature=0.7)
    new = LayoutPolicy(2, ("for_you", "popular"), rng.normal(size=14), np.zeros((14, 14)), temperature=0.2)
    step = between(old, new, share)
    qualities = rng.normal(size=(4, 3))
    before, after, middle = (policy.logits(KINDS, qualities, SHELVES[2]) for policy in (old, new, step))
    assert middle == pytest.approx((1 - share) * before + share * after)
    assert step.version == 2

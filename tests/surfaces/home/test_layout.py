"""The layout policy: exact chances of layouts, under the policy that draws and under another."""

import itertools
import json

import numpy as np
import pytest

from segue.errors import InputError
from surfaces.home.layout import LayoutPolicy, design, draw_layouts, step_chances
from surfaces.home.layout_record import LayoutRecord
from tests.support.home_pages import KINDS, context_of

LOGITS = np.log([1.0, 2.0, 3.0, 4.0])
QUALITIES = np.array([[0.5, 0.1, 0.7], [1.5, 0.2, 0.2], [-0.5, 0.9, 0.1], [0.0, 0.0, 0.0]])


def layouts(shelves: int, fewest: int, most: int) -> list[tuple[int, ...]]:
    """All layouts of so many rows."""
    return [order for rows in range(fewest, most + 1) for order in itertools.permutations(range(shelves), rows)]


def test_the_chance_of_a_layout_by_hand():
    # Shelf 3 of 1 + 2 + 3 + 4, then shelf 0 of 1 + 2 + 3; the end (weight 1) does not compete before the third row.
    assert step_chances(LOGITS, (3, 0), fewest=2, most=2) == pytest.approx([4 / 10, 1 / 6])
    # Then the end competes with 2 + 3, and wins.
    assert step_chances(LOGITS, (3, 0), fewest=2, most=4) == pytest.approx([4 / 10, 1 / 6, 1 / 6])
    # Where all shelves stand, nothing is left to choose.
    assert step_chances(LOGITS, (3, 0, 1, 2), fewest=1, most=9).prod() == pytest.approx(
        4 / 10 * 1 / 7 * 2 / 6 * 3 / 4, rel=1e-12
    )


@pytest.mark.parametrize(
    ("fewest", "most"),
    [(4, 4), (2, 2), (1, 4), (2, 3), (3, 9)],
    ids=["all", "two", "any number", "two or three", "many"],
)
def test_the_chances_of_all_layouts_of_four_shelves_sum_to_1(fewest, most):
    possible = layouts(4, fewest, min(most, 4))
    assert sum(step_chances(LOGITS, order, fewest, most).prod() for order in possible) == pytest.approx(1, abs=1e-12)


def test_a_layout_that_cannot_be_drawn_has_no_chance():
    assert step_chances(LOGITS, (3,), fewest=2, most=3).prod() == 0  # it ends too early


def test_draws_agree_with_the_chances():
    draws = 40_000
    drawn = draw_layouts(LOGITS, 1, 3, np.random.default_rng(0), draws)
    orders, counts = np.unique(drawn, axis=0, return_counts=True)
    shares = {tuple(order[order >= 0].tolist()): count / draws for order, count in zip(orders, counts, strict=True)}
    for order in layouts(4, 1, 3):
        chance = step_chances(LOGITS, order, 1, 3).prod()
        # Four standard errors: over 40 layouts, a right draw fails with a chance of 0.003 at the fixed seed.
        assert shares.get(order, 0) == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / draws))


def test_the_features_of_a_shelf():
    features = design(("popular",), ("for_you", "popular:SE"), QUALITIES[:2], np.array([0.1, 0.2, 1.0, 0.5]))
    assert features.tolist() == [
        [1, 0.5, 0.1, 0.7, 0, 0, 0, 0, 0],
        [1, 1.5, 0.2, 0.2, 1, 0.1, 0.2, 1.0, 0.5],  # its kind is `popular`
    ]


def test_optimism_raises_what_is_not_known():
    # Of the kind `popular` little is known: variance 0.25 of its weight is half a point at optimism 1.
    covariance = np.diag([0.0, 0, 0, 0, 0.25, 0, 0, 0, 0])
    sure = LayoutPolicy(1, ("popular",), np.zeros(9), covariance, temperature=1.0, optimism=0.0)
    hopeful = LayoutPolicy(1, ("popular",), np.zeros(9), covariance, temperature=1.0, optimism=1.0)
    shelves = (("for_you", "popular"), QUALITIES[:2], np.zeros(4))
    assert sure.logits(*shelves).tolist() == [0, 0]
    assert hopeful.logits(*shelves).tolist() == [0, 0.5]


def test_the_record_survives_the_log():
    policy = LayoutPolicy()
    record = policy.draw(KINDS, QUALITIES, context_of().features, 1, 3, np.random.default_rng(3))
    scores = json.loads(json.dumps({"reward": 0.5, **record.to_scores()}))
    back = LayoutRecord.from_scores(scores)
    assert back is not None
    assert (back.shelf_ids, back.drawn, back.fewest, back.most) == (KINDS, record.drawn, 1, 3)
    assert back.propensity == record.propensity
    # So the policy's chance of the layout, computed from the log, is that of the draw.
    assert policy.chances(back).tolist() == record.chances.tolist()
    assert back.qualities.tolist() == QUALITIES.tolist()


def test_scores_of_another_page_have_no_record():
    assert LayoutRecord.from_scores({"reward": 0.5}) is None


def test_another_policy_has_its_own_chance_of_a_layout():
    record = LayoutPolicy().draw(KINDS, QUALITIES, context_of().features, 2, 2, np.random.default_rng(0))
    even = LayoutPolicy(temperature=1e9)
    assert even.chances(record).prod() == pytest.approx(1 / 12)  # 4 * 3 layouts of two rows


def test_a_policy_survives_its_file(tmp_path):
    policy = LayoutPolicy(3, ("popular",), np.arange(9) / 7, np.eye(9) / 3, 0.1, 1.5)
    back = LayoutPolicy.from_dict(json.loads(json.dumps(policy.to_dict())))
    assert back.to_dict() == policy.to_dict()
    assert (back.mean == policy.mean).all()


@pytest.mark.parametrize(
    "broken",
    [
        {"kinds": ["popular"]},
        {"mean": [1.0]},
        {"mean": [float("nan")] * 4},
        {"temperature": 0},
        {"optimism": -1},
    ],
    ids=lambda broken: next(iter(broken)),
)
def test_a_broken_policy_is_refused(broken):
    with pytest.raises(InputError):
        LayoutPolicy.from_dict(LayoutPolicy().to_dict() | broken)


def test_a_file_without_a_key_is_refused():
    saved = LayoutPolicy().to_dict()
    del saved["covariance"]
    with pytest.raises(InputError, match="It lacks covariance"):
        LayoutPolicy.from_dict(saved)

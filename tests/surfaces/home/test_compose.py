"""Composed Home pages: the rules that every page keeps, on random pools; and small pages worked by hand."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.errors import InputError
from surfaces.home.calibration import excess
from surfaces.home.compose import compose_home
from surfaces.home.layout import LayoutPolicy
from surfaces.home.page import Shelf
from surfaces.home.rules import HomeRules
from tests.support.home_pages import context_of, pool_of, random_pool, random_shelves

MIX = {"music": 0.5, "podcast": 0.4, "audiobook": 0.1}
PLAIN = HomeRules(fewest_items=1, diversity=0, fit=0, calibration=0)
SEEDS = range(12)


def page_of(seed: int, budget: float = 0.2, rules: HomeRules | None = None, count: int = 120):
    """A random pool and its page."""
    pool = random_pool(seed, count)
    shelves = random_shelves(seed, count, size=count // 2)
    return pool, compose_home(context_of(MIX, budget), pool, shelves, LayoutPolicy(), rules or HomeRules(), seed)


def one_shelf(pool, rules=PLAIN, context=None, seed=0):
    """The ids on a page of one shelf of the whole pool."""
    shelf = Shelf("for_you", "For you", "", np.arange(len(pool)))
    page = compose_home(context or context_of(), pool, [shelf], LayoutPolicy(), rules, seed)
    return [item.item_id for item in page.items]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("count", [40, 120])
def test_a_page_keeps_its_rules(seed, count):
    rules = HomeRules(per_creator=2, columns=6)
    pool, page = page_of(seed, budget=0.3, rules=rules, count=count)
    creators = [[pool.creator_id[item.index] for item in row.items] for row in page.rows]
    everyone = [creator for row in creators for creator in row]
    assert page.items
    assert len({item.item_id for item in page.items}) == len(page.items)
    assert max(everyone.count(creator) for creator in everyone) <= 2
    for row in creators:
        assert rules.fewest_items <= len(row) <= rules.columns
        assert all(left != right for left, right in itertools.pairwise(row))
    for above, below in itertools.pairwise(creators):
        assert all(upper != lower for upper, lower in zip(above, below, strict=False))
    places = [(item.row, item.column) for item in page.items]
    assert places == [(r, c) for r, row in enumerate(page.rows, 1) for c in range(1, len(row.items) + 1)]
    assert [item.position for item in page.items] == list(range(1, len(page.items) + 1))
    for row in page.rows:
        assert {item.index for item in row.items} <= set(row.shelf.items.tolist())


@settings(deadline=None, max_examples=60, database=None, derandomize=True)
@given(
    budget=st.floats(0, 0.5),
    seed=st.integers(0, 2**64 - 1),
    columns=st.integers(1, 12),
    rows=st.integers(1, 5),
    count=st.integers(8, 120),
)
def test_no_beginning_of_a_page_exceeds_the_budget(budget, seed, columns, rows, count):
    rules = HomeRules(rows=rows, columns=columns, fewest_items=1)
    _, page = page_of(seed, budget, rules, count)
    explored = np.cumsum([item.explored for item in page.items])
    assert (explored <= budget * np.arange(1, len(explored) + 1) + 1e-9).all()


def test_a_budget_is_used():
    _, page = page_of(0, budget=0.1, rules=HomeRules(columns=10))
    # Four full rows of ten: each row below the first draws the place that the row above has earned.
    assert [(item.row, item.column) for item in page.items if item.explored] == [(2, 6), (3, 6), (4, 6)]


def test_without_a_budget_nothing_is_drawn_but_the_layout():
    _, page = page_of(0, budget=0)
    assert {(item.explored, item.propensity) for item in page.items} == {(False, 1.0)}
    assert page.layout_propensity < 1


def test_the_same_seed_gives_the_same_page():
    assert page_of(1)[1].items == page_of(1)[1].items


def test_the_order_of_pool_and_shelves_has_no_influence():
    pool, shelves, context = random_pool(5), random_shelves(5), context_of(MIX, 0.3)
    order = np.random.default_rng(1).permutation(len(pool))
    moved = pool_of(
        pool.reward[order],
        **{
            name: getattr(pool, name)[order]
            for name in ("item_ids", "uncertainty", "creator_id", "content_type", "vectors")
        },
    )
    places = np.argsort(order)
    others = [Shelf(s.id, s.title, s.reason, places[s.items[::-1]]) for s in reversed(shelves)]
    page = compose_home(context, pool, shelves, LayoutPolicy(), HomeRules(), 7)
    other = compose_home(context, moved, others, LayoutPolicy(), HomeRules(), 7)
    assert [(i.item_id, i.row, i.column, i.propensity, i.explored) for i in page.items] == [
        (i.item_id, i.row, i.column, i.propensity, i.explored) for i in other.items
    ]
    assert page.layout.to_scores() == other.layout.to_scores()


def test_equal_rewards_are_ordered_by_id():
    assert one_shelf(pool_of([1, 1, 1], item_ids=np.array(["b", "c", "a"]))) == ["a", "b", "c"]


def test_diversity_by_hand():
    # Rewards 4, 3, 2, 1 have the mean 2.5 and the deviation 1.118: 1.34, 0.45, -0.45, -1.34 as relevance.
    # i1 is the same as i0, i2 and i3 are like nothing. At diversity 1, i1 falls to -0.55, behind i2 at -0.45.
    pool = pool_of([4, 3, 2, 1], vectors=np.array([[1, 0, 0], [2, 0, 0], [0, 1, 0], [0, 0, 1]]))
    assert one_shelf(pool) == ["i0", "i1", "i2", "i3"]
    rules = HomeRules(fewest_items=1, diversity=1, calibration=0)
    assert one_shelf(pool, rules) == ["i0", "i2", "i1", "i3"]


def test_calibration_by_hand():
    # The mix is half and half, the best three are music; each item is 0.71 deviations of reward behind the one before.
    # Place 2, after one item of music: two items of music have the distance 0.5 ln(0.5 / 0.995) + 0.5 ln(0.5 / 0.005)
    # = 1.96, times 2 items is 3.9, more than the 1.41 by which the podcast i3 is behind i1.
    # Place 4, after two of music and one podcast: a third of music costs 0.14 * 4 = 0.56, less than the 1.41 of i4.
    types = np.array(["music", "music", "music", "podcast", "podcast"])
    pool = pool_of([5, 4.9, 4.8, 4.7, 4.6], content_type=types)
    context = context_of({"music": 0.5, "podcast": 0.5})
    assert one_shelf(pool, context=context) == ["i0", "i1", "i2", "i3", "i4"]
    rules = replace(PLAIN, calibration=1)
    assert one_shelf(pool, rules, context) == ["i0", "i3", "i1", "i2", "i4"]


def test_the_fit_of_a_content_type_by_hand():
    # Rewards 3, 2 and 1 are 1.22, 0 and -1.22 deviations from their mean. At a fit of 1 music has a bonus of
    # ln(0.1 + 0.01) = -2.21 and the podcast of ln(0.9 + 0.01) = -0.09: it gains 2.11, more than the 1.22 to i0.
    pool = pool_of([3, 2, 1], content_type=np.array(["music", "podcast", "music"]))
    context = context_of({"music": 0.1, "podcast": 0.9})
    assert one_shelf(pool, PLAIN, context) == ["i0", "i1", "i2"]
    assert one_shelf(pool, replace(PLAIN, fit=1), context) == ["i1", "i0", "i2"]
    assert one_shelf(pool, replace(PLAIN, fit=0.5), context) == ["i0", "i1", "i2"]  # it gains 1.06 only


def test_a_page_of_one_content_type_does_not_depend_on_the_fit():
    pool, shelves = random_pool(5), random_shelves(5)
    pool = replace(pool, content_type=np.full(len(pool), "music"))
    pages = [compose_home(context_of(MIX), pool, shelves, LayoutPolicy(), HomeRules(fit=fit), 5) for fit in (0, 2)]
    assert pages[0].items == pages[1].items


@pytest.mark.parametrize("seed", SEEDS)
def test_each_place_has_the_item_that_is_worth_most(seed):
    # Of one shelf on a screen without an edge; the rewards are whole numbers, so that many are equal.
    pool, rules = random_pool(seed, 60), HomeRules(columns=30, visible=30, diversity=0.3, fit=0, per_creator=3)
    pool = replace(pool, reward=pool.reward.round())
    types = sorted(MIX)
    mix, kinds = [MIX[name] for name in types], [types.index(name) for name in pool.content_type]
    shelf = Shelf("for_you", "", "", np.arange(60))
    page = compose_home(context_of(MIX), pool, [shelf], LayoutPolicy(), rules, seed)
    placed: list[int] = []
    for place in page.items:
        creators = [pool.creator_id[item] for item in placed]
        costs = excess(mix, [float([kinds[item] for item in placed].count(kind)) for kind in range(len(types))])
        likeness = (
            (pool.directions @ pool.directions[placed].T).max(axis=1, initial=-np.inf) if placed else np.zeros(60)
        )
        able = [
            item
            for item in range(60)
            if item not in placed
            and pool.creator_id[item] not in creators[-1:]
            and creators.count(pool.creator_id[item]) < 3
        ]
        worth = {
            item: pool.relevance[item] - 0.3 * likeness[item] - rules.calibration * costs[kinds[item]] for item in able
        }
        assert worth[place.index] == pytest.approx(max(worth.values()), abs=1e-9)
        placed.append(place.index)
    assert len(placed) == 30


def test_the_best_items_wait_for_the_places_that_the_screen_shows():
    pool = pool_of([5, 4, 3, 2, 1, 0])
    shelves = [Shelf(name, "", "", np.arange(6)) for name in ("a", "b")]
    rules = HomeRules(
        rows=2, fewest_rows=2, columns=3, visible=1, fewest_items=1, diversity=0, calibration=0
    )  # fmt: skip
    page = compose_home(context_of(), pool, shelves, LayoutPolicy(), rules, 0)
    # i1 waits for the first place of the second row; below the last row nothing waits.
    assert [[item.item_id for item in row.items] for row in page.rows] == [["i0", "i2", "i3"], ["i1", "i4", "i5"]]


def test_a_row_does_not_depend_on_the_rows_below():
    pages = [compose_home(context_of(MIX), random_pool(3), random_shelves(3), LayoutPolicy(temperature=10.0),
                          HomeRules(), seed) for seed in range(20)]  # fmt: skip
    first: dict[str, set[tuple[str, ...]]] = {}
    for page in pages:
        first.setdefault(page.rows[0].shelf.id, set()).add(tuple(item.item_id for item in page.rows[0].items))
    assert len({tuple(row.shelf.id for row in page.rows) for page in pages}) > len(first)
    assert {len(rows) for rows in first.values()} == {1}


def test_a_creator_has_no_neighbour_of_its_own_and_no_more_than_its_share():
    pool = pool_of([5, 4, 3, 2, 1], creator_id=np.array(["a", "a", "a", "b", ""]))
    rules = HomeRules(fewest_items=1, diversity=0, calibration=0, per_creator=2)
    assert one_shelf(pool, rules) == ["i0", "i3", "i1", "i4"]  # a third of `a` has no place


def test_unknown_creators_are_not_taken_for_one():
    assert len(one_shelf(pool_of([3, 2, 1], creator_id=np.array(["", "", ""])))) == 3


def test_the_chances_of_drawn_items_are_exact():
    # Two shelves of two columns; the second place of the second shelf is drawn among three items.
    pool = pool_of([9, 8, 7, 1.0, 1.2, 0.9], uncertainty=np.array([0, 0, 0, 0.5, 0, 1.0]))
    shelves = [Shelf("a", "", "", np.array([0, 1])), Shelf("b", "", "", np.array([2, 3, 4, 5]))]
    rules = HomeRules(
        columns=2, fewest_items=1, fewest_rows=2, diversity=0, calibration=0, contenders=3, draw_temperature=0.2
    )
    context = context_of(budget=0.5, bonus=0.4)
    optimistic = (np.array([1.0, 1.2, 0.9]) + 0.4 * np.array([0.5, 0, 1])) / pool.reward.std() / 0.2
    expected = dict(zip(("i3", "i4", "i5"), np.exp(optimistic) / np.exp(optimistic).sum(), strict=True))
    counts, rounds = dict.fromkeys(expected, 0), 500
    policy = LayoutPolicy(temperature=0.01)  # the shelf `a` is first, and the first row has no budget
    for seed in range(rounds):
        drawn = compose_home(context, pool, shelves, policy, rules, seed).rows[1].items[1]
        assert drawn.explored
        assert drawn.propensity == pytest.approx(expected[drawn.item_id], rel=1e-9)
        counts[drawn.item_id] += 1
    for item, chance in expected.items():
        assert counts[item] / rounds == pytest.approx(chance, abs=4 * np.sqrt(chance / rounds))


def test_only_the_most_promising_compete_for_a_drawn_place():
    pool = pool_of([9, 8, 7, 3, 2, 1])
    shelves = [Shelf("a", "", "", np.array([0, 1])), Shelf("b", "", "", np.array([2, 3, 4, 5]))]
    rules = HomeRules(columns=2, fewest_items=1, fewest_rows=2, contenders=1)
    page = compose_home(context_of(budget=0.5), pool, shelves, LayoutPolicy(temperature=0.01), rules, 0)
    assert [(i.item_id, i.explored, i.propensity) for i in page.rows[1].items] == [("i2", False, 1), ("i3", True, 1)]


def test_a_shelf_that_others_have_emptied_is_not_shown():
    pool = pool_of([5, 4, 3, 2, 1, 0])
    shelves = [Shelf(name, "", "", np.array([0, 1, 2])) for name in ("a", "b")]
    page = compose_home(context_of(), pool, shelves, LayoutPolicy(), HomeRules(fewest_rows=2), 0)
    assert len(page.layout.drawn) == 2
    assert [[item.item_id for item in row.items] for row in page.rows] == [["i0", "i1", "i2"]]


def test_without_shelves_there_is_a_page_without_rows():
    page = compose_home(context_of(), pool_of([1.0]), [], LayoutPolicy(), HomeRules(), 0)
    assert (page.items, page.layout_propensity) == ([], 1.0)


def test_a_shelf_twice_is_refused():
    shelves = random_shelves(0)[:1] * 2
    with pytest.raises(InputError, match="an id of its own"):
        compose_home(context_of(), random_pool(0), shelves, LayoutPolicy(), HomeRules(), 0)

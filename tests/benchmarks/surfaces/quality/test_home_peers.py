"""The peers of Home, by hand on five candidates, and the arithmetic of the figures."""

from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.surfaces.quality import home_peers, home_value, layout_estimates
from surfaces.engine.context import Context
from surfaces.engine.page import ShownItem, one_list
from surfaces.home.layout_record import LayoutRecord
from surfaces.home.learning import LoggedPage
from surfaces.home.page import Shelf
from surfaces.home.rules import HomeRules
from surfaces.request import Request
from surfaces.versions import VersionSet
from tests.support.home_pages import pool_of
from tests.surfaces.catalogues import make_catalogue

RULES = HomeRules(rows=2, columns=2, fewest_items=1)


@pytest.fixture
def given(monkeypatch):
    """`given(pool, shelves)`: requests with these candidates, whose items are the rows 10, 11, … of the catalogue."""

    def make(pool, shelves=(), count=1):
        monkeypatch.setattr(home_peers, "pool_and_shelves", lambda served, rules: (pool, list(shelves)))
        candidates = SimpleNamespace(rows=np.arange(len(pool)) + 10)
        return [SimpleNamespace(answer=SimpleNamespace(candidates=candidates)) for _ in range(count)]

    return make


def test_rows_are_filled_from_the_left_and_the_top():
    assert home_peers.in_rows([1, 2, 3], RULES) == [[1, 2], [3]]
    assert home_peers.in_rows([1, 2, 3, 4, 5], RULES) == [[1, 2], [3, 4]]


def test_static_shelves_stand_in_the_order_of_their_best_items_and_show_an_item_once(given):
    pool = pool_of([5, 4, 3, 2, 1])
    shelves = [Shelf("a", "", "", np.array([2, 3, 4])), Shelf("b:x", "", "", np.array([0, 1, 2]))]
    # The best two of `b` have the mean 4.5, those of `a` 2.5.
    assert home_peers.static_shelves(given(pool, shelves, 2), RULES) == [[[10, 11], [12, 13]]] * 2


def test_no_third_item_of_a_creator_among_the_first_twenty(given):
    pool = pool_of(
        [5, 4, 3, 2, 1], creator_id=np.array(["a", "a", "a", "b", "c"]), genres=[("g",), ("h",), ("i",), ("j",), ("k",)]
    )
    assert home_peers.creator_cap(given(pool)[0], RULES) == [[10, 11], [13, 14]]


def test_neighbours_have_other_genres(given):
    pool = pool_of([5, 4, 3, 2], genres=[("g",), ("g",), ("h",), ("h",)])
    assert home_peers.creator_cap(given(pool)[0], RULES) == [[10, 12], [11, 13]]


def test_popular_items_are_out_and_of_the_market():
    catalogue = make_catalogue(
        {"a": {"release": "2026-12-01"}, "b": {"release": "2026-12-31"}, "c": {"release": "2027-01-02"}},
        {"": {"a": 1.0, "b": 2.0, "c": 3.0}},
    )
    context = Context(Request("u1", datetime(2027, 1, 1, tzinfo=UTC)), {}, catalogue, VersionSet())
    served = SimpleNamespace(answer=SimpleNamespace(context=context))
    assert home_peers.popular(served, RULES) == [[1, 0]]


def test_a_page_over_its_budget_is_counted():
    def page(*explored):
        return one_list([ShownItem(str(n), 1, n, n, explored=one) for n, one in enumerate(explored, 1)], "p")

    within, over = page(*[False] * 10, True), page(True, *[False] * 19)
    figures = home_value.exploration([within, over])
    assert (figures["over_budget"], figures["largest"]) == (1, pytest.approx(1 / 11))


def test_evenly_drawn_pages_have_the_chances_of_an_even_choice():
    record = LayoutRecord(("a", "b", "c"), np.zeros((3, 3)), np.zeros(4), (2, 0), 2, 2, np.array([0.9, 0.8]))
    page = layout_estimates.evenly_drawn(LoggedPage(record, np.zeros(2), "u"))
    assert page.record.chances == pytest.approx([1 / 3, 1 / 2])

"""Shelves by MMR and by a determinantal point process, by hand."""

import numpy as np
import pytest

from benchmarks.surfaces.quality import diversity
from tests.support.home_pages import pool_of

# Item 1 is the same as item 0; item 2 is like neither, and less relevant than both.
RELEVANCE = np.array([2.0, 1.9, 1.0])
DIRECTIONS = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])


@pytest.mark.parametrize("method", [diversity.mmr, diversity.dpp])
def test_a_method_leaves_out_the_same_item_for_another(method):
    assert method(RELEVANCE, DIRECTIONS, weight=1.5, k=2) == [0, 2]


def test_mmr_without_weight_is_the_order_of_relevance():
    assert diversity.mmr(RELEVANCE, DIRECTIONS, weight=0.0, k=3) == [0, 1, 2]


def test_the_figures_of_a_shelf_by_hand():
    # Twelve items with rewards 12, 11, ..., 1; the last two are like nothing else, the others are all the same.
    vectors = np.zeros((12, 3))
    vectors[:10, 0] = vectors[10, 1] = vectors[11, 2] = 1
    shelf = (pool_of(np.arange(12.0, 0, -1), vectors=vectors), np.arange(12))
    plain, diverse = (diversity.shelf_figures([shelf], diversity.mmr, weight) for weight in (0.0, 10.0))
    assert (plain["distance"], plain["reward_loss"]) == (0.0, 0.0)  # the best ten, all the same
    # Items 8 and 9 gave way to 10 and 11: 17 of 45 pairs differ, and 2 + 1 instead of 4 + 3 of 75 are lost.
    assert diverse["distance"] == pytest.approx(17 / 45)
    assert diverse["reward_loss"] == pytest.approx(4 / 75)

"""Item to item: who listens to one, listens to the other."""

import numpy as np
import pytest

from surfaces.co_listening import SHRINKAGE, similar_items


def test_similarities_by_hand():
    # Items 0 and 1 share listeners 0 and 1; item 2 has listener 2 only, who also played 0; a repeated play counts once.
    users = np.array([0, 0, 0, 1, 1, 2, 2])
    items = np.array([0, 0, 1, 0, 1, 2, 0])
    rows, similarity = similar_items(users, items, 4)

    assert rows[0, :3].tolist() == [1, 2, -1]
    assert similarity[0, 0] == pytest.approx(2 / (np.sqrt(3 * 2) + SHRINKAGE))
    assert similarity[0, 1] == pytest.approx(1 / (np.sqrt(3 * 1) + SHRINKAGE))
    assert rows[1, :2].tolist() == [0, -1]
    assert rows[3, 0] == -1  # nobody played it
    assert similarity[3].max() == 0


def test_the_relation_is_symmetric_and_blocks_do_not_matter(monkeypatch):
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 40, 600), rng.integers(0, 30, 600)
    rows, similarity = similar_items(users, items, 30)
    dense = np.zeros((30, 30), np.float32)
    for item in range(30):
        dense[item, rows[item][rows[item] >= 0]] = similarity[item][rows[item] >= 0]
    np.testing.assert_allclose(dense, dense.T)
    assert (np.diff(similarity, axis=1) <= 0).all()  # best first

    monkeypatch.setattr("surfaces.co_listening.BLOCK", 7)
    in_blocks = similar_items(users, items, 30)
    np.testing.assert_array_equal(in_blocks[0], rows)


def test_no_plays():
    rows, similarity = similar_items(np.array([], int), np.array([], int), 2)
    assert (rows == -1).all()
    assert (similarity == 0).all()

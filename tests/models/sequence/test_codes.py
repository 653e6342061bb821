"""Semantic ids: like items begin alike, no two are the same, and an item keeps its own."""

import numpy as np
import pytest

from models.sequence.codes import LEAST, MOST, Codebook, codes_a_level, nearest
from segue.errors import InputError


def vectors(items: int = 120, dim: int = 6, seed: int = 0) -> np.ndarray:
    """Items around four far corners, item n around corner n % 4."""
    rng = np.random.default_rng(seed)
    corners = 50 * np.eye(4, dim)
    return (corners[np.arange(items) % 4] + rng.normal(size=(items, dim))).astype(np.float32)


def ids(items: int) -> list[str]:
    return [f"i{n}" for n in range(items)]


@pytest.fixture(scope="module")
def book() -> Codebook:
    return Codebook.fit(ids(120), vectors(), seed=0)


def test_no_two_items_have_the_same_codes(book):
    assert len(np.unique(book.codes, axis=0)) == 120
    assert book.codes.shape == (120, 4)


def test_like_items_begin_alike(book):
    first = book.codes[:, 0]
    assert not any(set(first[a::4]) & set(first[b::4]) for a in range(4) for b in range(a))


def test_codes_are_those_of_the_seed(book):
    again = Codebook.fit(ids(120), vectors(), seed=0)
    np.testing.assert_array_equal(again.codes, book.codes)


def test_the_last_code_tells_equal_items_apart():
    same = np.zeros((3, 2), np.float32)
    found = Codebook.fit(["a", "b", "c"], same, seed=0)
    assert found.codes[:, -1].tolist() == [0, 1, 2]
    assert len(np.unique(found.codes[:, :-1], axis=0)) == 1
    assert found.collision_rate(3) == 1.0


def test_the_collision_rate_counts_items_that_share(book):
    # Two of three share all codes but the last.
    shared = Codebook(book.centroids, np.array([[1, 1, 1, 0], [1, 1, 1, 1], [1, 2, 1, 0]], np.int32), ["a", "b", "c"])
    assert shared.collision_rate(3) == pytest.approx(2 / 3)
    assert shared.collision_rate(1) == 0.0  # the others are gone


def test_items_keep_their_codes_and_new_ones_join(book):
    moved = np.concatenate([vectors(seed=1)[:100], vectors(20, seed=2)])  # 20 are gone, 20 are new, all have moved
    names = [*ids(100), *(f"new{n}" for n in range(20))]
    later = book.extend(names, moved)
    np.testing.assert_array_equal(later.codes[:100], book.codes[:100])
    np.testing.assert_array_equal(later.codes[100:120, :-1], later.assign(moved[100:]))
    assert later.ids[120:] == sorted(ids(120)[100:])
    assert len(np.unique(later.codes, axis=0)) == 140  # nobody got the codes of what is gone
    back = later.extend(ids(120), vectors())
    np.testing.assert_array_equal(back.codes[:120], book.codes)


def test_new_items_join_where_the_retrained_model_has_the_old_ones(book):
    turned = np.roll(vectors(), 3, axis=1)[:, ::-1] * 0.1 + 7  # another model's space, of the same neighbourhoods
    # The first 100 are known; each of the others stands exactly where one of them does.
    later = book.extend([*ids(100), *(f"new{n}" for n in range(20))], np.concatenate([turned[:100], turned[:20]]))
    assert (later.codes[100:120, 0] == book.codes[:20, 0]).all()
    first = later.centroids[0][book.codes[0, 0]]
    same = book.codes[:100, 0] == book.codes[0, 0]
    np.testing.assert_allclose(first, turned[:100][same].mean(axis=0), rtol=1e-5)


def test_nobody_joins_a_code_that_no_item_has_any_more(book):
    gone = book.codes[0, 0]
    kept = [n for n in range(120) if book.codes[n, 0] != gone]
    later = book.extend([*(f"i{n}" for n in kept), "new"], np.concatenate([vectors()[kept], vectors()[:1]]))
    assert later.codes[len(kept), 0] != gone


def test_it_round_trips(book, tmp_path):
    book.write(tmp_path / "codes.npz")
    found = Codebook.read(tmp_path / "codes.npz")
    assert found.ids == book.ids
    np.testing.assert_array_equal(found.codes, book.codes)
    np.testing.assert_array_equal(np.stack(found.centroids), np.stack(book.centroids))


def test_codes_follow_what_is_left_over(book):
    found = book.assign(vectors()[:1])[0]
    left = vectors()[0].copy()
    for centroids, code in zip(book.centroids, found, strict=True):
        assert code == np.argmin(((left - centroids) ** 2).sum(axis=1))
        left = left - centroids[code]


def test_nearest_is_by_distance():
    centroids = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 0.0]], np.float32)
    assert nearest(np.array([[1.0, 1.0], [2.0, 0.0]], np.float32), centroids).tolist() == [0, 1]


@pytest.mark.parametrize(("items", "size"), [(3, 3), (1_000, 100), (10**9, MOST)])
def test_how_many_codes_a_level_has(items, size):
    assert codes_a_level(items, 3) == size
    assert LEAST <= codes_a_level(1_000, 3) <= MOST


@pytest.mark.parametrize(
    ("names", "given", "said"),
    [
        (["a"], np.zeros((2, 3)), "one vector an item"),
        (["a", "a"], np.zeros((2, 3)), "distinct ids"),
        (["a", "b"], np.full((2, 3), np.nan), "finite"),
    ],
    ids=["rows", "twice", "nan"],
)
def test_what_cannot_be_coded(names, given, said):
    with pytest.raises(InputError, match=said):
        Codebook.fit(names, given.astype(np.float32), seed=0)

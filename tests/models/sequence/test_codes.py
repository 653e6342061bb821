"""Semantic ids: similar items share their first codes, no two items have the same codes, and items keep theirs."""

import numpy as np
import pytest

from models.sequence.codes import LEAST, MOST, Codebook, codes_a_level, nearest
from segue.errors import InputError


def vectors(items: int = 120, dim: int = 6, seed: int = 0) -> np.ndarray:
    """Vectors around four distant corners; item n is near corner n % 4."""
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


def test_similar_items_share_their_first_code(book):
    first = book.codes[:, 0]
    assert not any(set(first[a::4]) & set(first[b::4]) for a in range(4) for b in range(a))


def test_a_cell_holds_the_items_of_a_corner(book):
    cells = book.cells(4)
    assert [len(set(cells[corner::4])) for corner in range(4)] == [1, 1, 1, 1]
    assert sorted(set(cells)) == [0, 1, 2, 3]


def test_each_first_code_is_a_cell_where_there_is_room_for_all(book):
    assert len(set(book.cells(1000))) == len(set(book.codes[:, 0]))


def test_items_whose_first_code_has_no_centroid_are_in_no_cell(book):
    kept = book.codes[:, 0] != book.codes[0, 0]
    lost = book.moved(book.codes[kept], vectors()[kept])  # as if no item with this code were in the catalogue any more
    np.testing.assert_array_equal(lost.cells(4) == -1, ~kept)


def test_the_same_seed_gives_the_same_codes(book):
    again = Codebook.fit(ids(120), vectors(), seed=0)
    np.testing.assert_array_equal(again.codes, book.codes)


def test_items_with_equal_vectors_differ_in_the_last_code():
    same = np.zeros((3, 2), np.float32)
    fitted = Codebook.fit(["a", "b", "c"], same, seed=0)
    assert fitted.codes[:, -1].tolist() == [0, 1, 2]
    assert len(np.unique(fitted.codes[:, :-1], axis=0)) == 1
    assert fitted.collision_rate(3) == 1.0


def test_the_collision_rate_is_the_share_of_items_with_common_codes(book):
    # Two of three items share all codes but the last.
    shared = Codebook(book.centroids, np.array([[1, 1, 1, 0], [1, 1, 1, 1], [1, 2, 1, 0]], np.int32), ["a", "b", "c"])
    assert shared.collision_rate(3) == pytest.approx(2 / 3)
    assert shared.collision_rate(1) == 0.0  # with the other two gone, a has its codes alone


def test_items_keep_their_codes_and_new_items_get_codes(book):
    moved = np.concatenate(
        [vectors(seed=1)[:100], vectors(20, seed=2)]
    )  # 20 items are gone, 20 are new, all vectors have changed
    names = [*ids(100), *(f"new{n}" for n in range(20))]
    later = book.extend(names, moved)
    np.testing.assert_array_equal(later.codes[:100], book.codes[:100])
    np.testing.assert_array_equal(later.codes[100:120, :-1], later.assign(moved[100:]))
    assert later.ids[120:] == sorted(ids(120)[100:])
    assert len(np.unique(later.codes, axis=0)) == 140  # no item got the codes of an item that is gone
    back = later.extend(ids(120), vectors())
    np.testing.assert_array_equal(back.codes[:120], book.codes)


def test_new_items_get_the_codes_of_their_neighbours_in_the_retrained_model(book):
    turned = np.roll(vectors(), 3, axis=1)[:, ::-1] * 0.1 + 7  # vectors of another model with the same neighbourhoods
    # The first 100 items have codes. Each new item has the vector of one of them.
    later = book.extend([*ids(100), *(f"new{n}" for n in range(20))], np.concatenate([turned[:100], turned[:20]]))
    assert (later.codes[100:120, 0] == book.codes[:20, 0]).all()
    first = later.centroids[0][book.codes[0, 0]]
    same = book.codes[:100, 0] == book.codes[0, 0]
    np.testing.assert_allclose(first, turned[:100][same].mean(axis=0), rtol=1e-5)


def test_no_new_item_gets_a_code_that_no_present_item_has(book):
    gone = book.codes[0, 0]
    kept = [n for n in range(120) if book.codes[n, 0] != gone]
    later = book.extend([*(f"i{n}" for n in kept), "new"], np.concatenate([vectors()[kept], vectors()[:1]]))
    assert later.codes[len(kept), 0] != gone


def test_a_codebook_is_read_as_it_was_written(book, tmp_path):
    book.write(tmp_path / "codes.npz")
    read = Codebook.read(tmp_path / "codes.npz")
    assert read.ids == book.ids
    np.testing.assert_array_equal(read.codes, book.codes)
    np.testing.assert_array_equal(np.stack(read.centroids), np.stack(book.centroids))


def test_each_code_is_the_nearest_centroid_to_the_residual(book):
    codes = book.assign(vectors()[:1])[0]
    residual = vectors()[0].copy()
    for centroids, code in zip(book.centroids, codes, strict=True):
        assert code == np.argmin(((residual - centroids) ** 2).sum(axis=1))
        residual = residual - centroids[code]


def test_nearest_compares_euclidean_distances():
    centroids = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 0.0]], np.float32)
    assert nearest(np.array([[1.0, 1.0], [2.0, 0.0]], np.float32), centroids).tolist() == [0, 1]


@pytest.mark.parametrize(("items", "size"), [(3, 3), (1_000, 100), (10**9, MOST)])
def test_the_number_of_codes_of_a_level(items, size):
    assert codes_a_level(items, 3) == size
    assert LEAST <= codes_a_level(1_000, 3) <= MOST


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        (["a"], np.zeros((2, 3)), "one vector an item"),
        (["a", "a"], np.zeros((2, 3)), "distinct ids"),
        (["a", "b"], np.full((2, 3), np.nan), "finite"),
    ],
    ids=["too many vectors", "repeated id", "nan"],
)
def test_ids_and_vectors_that_do_not_fit_are_refused(names, given, message):
    with pytest.raises(InputError, match=message):
        Codebook.fit(names, given.astype(np.float32), seed=0)

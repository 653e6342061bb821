"""A contract for all baselines on a checkerboard with an obvious answer, and each baseline by hand on a few items."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from models.evaluation import baselines
from models.evaluation.baselines import ALS, DAY, EASE, Interactions, ItemKNN, Popularity
from segue.errors import InputError

USERS, ITEMS = 60, 12


def log_of(matrix) -> Interactions:
    """One interaction for each 1 of `[users, items]`, all at time 0."""
    matrix = np.asarray(matrix)
    user, item = np.nonzero(matrix)
    return Interactions(user, item, np.zeros(len(user), np.int64), *matrix.shape)


def score(model, histories) -> np.ndarray:
    """Scores of dense histories at time 0."""
    return model.score(csr_matrix(np.asarray(histories, np.float32)), np.zeros(len(histories), np.int64))


def checkerboard() -> np.ndarray:
    """Even listeners play even items and odd listeners odd items, low items more often: `[60, 12]`."""
    rng = np.random.default_rng(0)
    matches = np.add.outer(np.arange(USERS), np.arange(ITEMS)) % 2 == 0
    return rng.random((USERS, ITEMS)) < np.where(matches, np.linspace(0.9, 0.5, ITEMS), 0.03)


# Two factors for two tastes; this much regularization removes the random start within a few iterations.
FACTORS = {"factors": 2, "regularization": 5.0}
BASELINES = [
    pytest.param(Popularity, id="popularity"),
    pytest.param(lambda: Popularity(half_life_days=7), id="decayed popularity"),
    pytest.param(lambda: ItemKNN(shrink=1), id="item-kNN"),
    pytest.param(lambda: ItemKNN(neighbours=5, shrink=1), id="item-kNN of few neighbours"),
    pytest.param(lambda: EASE(regularization=10), id="EASE"),
    pytest.param(lambda: ALS(**FACTORS), id="ALS"),
]
# A listener who played items 0 and 4, a listener who played 1 and 3, and a listener without a history.
HISTORIES = np.zeros((3, ITEMS))
HISTORIES[0, [0, 4]] = HISTORIES[1, [1, 3]] = 1


@pytest.mark.parametrize("make", BASELINES)
class TestContract:
    """Properties of every baseline that callers rely on."""

    def test_scores_are_finite_float32_of_the_right_shape(self, make):
        scores = score(make().fit(log_of(checkerboard())), HISTORIES)
        assert (scores.shape, scores.dtype) == ((3, ITEMS), np.float32)
        assert np.isfinite(scores).all()

    def test_an_empty_history_falls_back_to_popularity(self, make):
        board = checkerboard()
        assert score(make().fit(log_of(board)), HISTORIES)[2] == pytest.approx(board.sum(axis=0))

    def test_a_second_fit_of_the_same_seed_scores_the_same(self, make):
        first, second = (score(make().fit(log_of(checkerboard())), HISTORIES) for _ in range(2))
        assert np.array_equal(first, second)

    def test_permuting_the_items_permutes_the_scores(self, make):
        order = np.random.default_rng(1).permutation(ITEMS)
        scores = score(make().fit(log_of(checkerboard())), HISTORIES)
        permuted = score(make().fit(log_of(checkerboard()[:, order])), HISTORIES[:, order])
        assert permuted == pytest.approx(scores[:, order], abs=1e-5)

    def test_permuting_the_listeners_of_the_log_changes_nothing(self, make):
        order = np.random.default_rng(1).permutation(USERS)
        scores = score(make().fit(log_of(checkerboard())), HISTORIES)
        assert score(make().fit(log_of(checkerboard()[order])), HISTORIES) == pytest.approx(scores, abs=1e-5)

    def test_a_listeners_scores_do_not_depend_on_the_other_rows(self, make):
        model = make().fit(log_of(checkerboard()))
        alone = [score(model, HISTORIES[[row]])[0] for row in range(3)]
        assert score(model, HISTORIES) == pytest.approx(np.array(alone), abs=1e-5)

    @pytest.mark.parametrize("place", [0, 5, ITEMS], ids=["first", "middle", "last"])
    def test_an_item_without_interactions_leaves_the_order_of_the_others(self, make, place):
        board = checkerboard()
        order = np.argsort(score(make().fit(log_of(board)), HISTORIES), axis=1)
        wider = make().fit(log_of(np.insert(board, place, False, axis=1)))
        others = np.delete(score(wider, np.insert(HISTORIES, place, 0, axis=1)), place, axis=1)
        assert np.array_equal(np.argsort(others, axis=1), order)

    def test_repeated_items_of_a_history_count_once(self, make):
        model = make().fit(log_of(checkerboard()))
        assert np.array_equal(score(model, 5 * HISTORIES), score(model, HISTORIES))

    def test_scoring_does_not_change_the_history(self, make):
        # An explicit 0 and a repeated item, as matrices built from a log have them.
        untidy = csr_matrix((np.array([2, 0, 1, 1], np.float32), np.array([0, 1, 4, 4]), np.array([0, 4])), (1, ITEMS))
        model = make().fit(log_of(checkerboard()))
        assert np.array_equal(model.score(untidy, np.zeros(1, np.int64)), score(model, HISTORIES[[0]]))
        assert untidy.data.tolist() == [2.0, 0.0, 1.0, 1.0]

    @pytest.mark.parametrize(
        ("shape", "times"),
        [
            pytest.param((3, ITEMS - 1), 3, id="one item too few"),
            pytest.param((3, ITEMS + 1), 3, id="one item too many"),
            pytest.param((3, ITEMS), 2, id="one time too few"),
        ],
    )
    def test_histories_that_do_not_fit_are_refused(self, make, shape, times):
        model = make().fit(log_of(checkerboard()))
        with pytest.raises(InputError, match=rf"\[{times}, {ITEMS}\]; they are \[{shape[0]}, {shape[1]}\]"):
            model.score(csr_matrix(shape), np.zeros(times, np.int64))

    def test_an_empty_log_is_refused(self, make):
        with pytest.raises(InputError, match="has none"):
            make().fit(log_of(np.zeros((2, 3))))


@pytest.mark.parametrize("make", BASELINES[2:])
class TestTaste:
    """Properties of every baseline but popularity on the checkerboard."""

    def test_items_of_the_right_taste_come_first(self, make):
        scores = score(make().fit(log_of(checkerboard())), HISTORIES)
        new = np.where(HISTORIES > 0, -np.inf, scores)
        best = np.argsort(-new, axis=1)[:2, :3]
        assert (best % 2 == [[0], [1]]).all()

    def test_a_history_of_items_without_interactions_falls_back_to_popularity(self, make):
        board = checkerboard()
        board[:, 7] = False
        scores = score(make().fit(log_of(board)), np.eye(ITEMS)[[7]])
        assert np.array_equal(np.argsort(scores[0], kind="stable"), np.argsort(board.sum(axis=0), kind="stable"))


def test_popularity_counts_every_interaction():
    # One listener played item 1 twice, another played item 0 once.
    log = Interactions(np.array([0, 0, 1]), np.array([1, 1, 0]), np.array([0, 1, 2]), 2, 3)
    assert score(Popularity().fit(log), np.zeros((1, 3))).tolist() == [[1, 2, 0]]


def test_decayed_popularity_halves_with_each_half_life():
    # The log ends on day 20. Item 0 at 20 and 10 days before it, half-life 10: 1/4 + 1/2. Item 1 at its end: 1.
    log = Interactions(np.zeros(3, int), np.array([0, 0, 1]), np.array([0, 10, 20]) * DAY, 1, 2)
    assert score(Popularity(10).fit(log), np.ones((1, 2))).tolist() == [[0.75, 1.0]]


# Three listeners, three items: items 0 and 1 share listeners 0 and 1; items 1 and 2 share listener 2.
SQUARE = np.array([[1, 1, 0], [1, 1, 0], [0, 1, 1]])


@pytest.mark.parametrize(
    ("shrink", "similar"),
    [
        # The norms are sqrt 2, sqrt 3 and 1, so the cosines are 2 / sqrt 6, 1 / sqrt 3 and 0.
        pytest.param(0, [[0, 2 / 6**0.5, 0], [2 / 6**0.5, 0, 1 / 3**0.5], [0, 1 / 3**0.5, 0]], id="cosine"),
        pytest.param(
            1,
            [[0, 2 / (6**0.5 + 1), 0], [2 / (6**0.5 + 1), 0, 1 / (3**0.5 + 1)], [0, 1 / (3**0.5 + 1), 0]],
            id="shrunk",
        ),
    ],
)
def test_item_knn_by_hand(shrink, similar):
    model = ItemKNN(shrink=shrink).fit(log_of(SQUARE))
    assert score(model, np.eye(3)) == pytest.approx(np.array(similar), rel=1e-6)


def test_item_knn_sums_over_the_history():
    scores = score(ItemKNN(shrink=0).fit(log_of(SQUARE)), [[1, 0, 1]])
    assert scores[0] == pytest.approx([0, 2 / 6**0.5 + 1 / 3**0.5, 0])


def test_only_the_nearest_neighbours_of_an_item_count():
    # Item 1 is more similar to item 0 (0.82) than to item 2 (0.58); item 2 is similar to item 1 only.
    scores = score(ItemKNN(neighbours=1, shrink=0).fit(log_of(SQUARE)), np.eye(3))
    assert (scores > 0).tolist() == [[False, True, False], [True, False, False], [False, True, False]]


def test_item_knn_without_shrinkage_accepts_items_without_interactions():
    scores = score(ItemKNN(shrink=0).fit(log_of([[1, 1, 0]])), [[1, 0, 0]])
    assert scores.tolist() == [[0, 1, 0]]


@pytest.mark.parametrize("make", [lambda: ItemKNN(neighbours=3, shrink=1), EASE], ids=["item-kNN", "EASE"])
def test_the_block_size_does_not_change_the_scores(make, monkeypatch):
    whole = score(make().fit(log_of(checkerboard())), np.eye(ITEMS))
    monkeypatch.setattr(baselines, "BLOCK_CELLS", 5 * ITEMS)  # blocks of 5, 5 and 2 items
    assert score(make().fit(log_of(checkerboard())), np.eye(ITEMS)) == pytest.approx(whole)


def test_ease_by_hand():
    # X'X + I = [[3, 2, 0], [2, 4, 1], [0, 1, 2]]; its determinant is 3 * 7 - 2 * 4 = 13 and its inverse is
    # P = [[7, -4, 2], [-4, 6, -3], [2, -3, 8]] / 13. Column j of B is -P[:, j] / P[j, j].
    weights = [[0, 4 / 6, -2 / 8], [4 / 7, 0, 3 / 8], [-2 / 7, 3 / 6, 0]]
    assert score(EASE(regularization=1).fit(log_of(SQUARE)), np.eye(3)) == pytest.approx(np.array(weights), rel=1e-5)


def test_ease_is_the_explicit_formula():
    board = np.random.default_rng(0).random((50, 1500)) < 0.1
    p = np.linalg.inv(board.T.astype(float) @ board + 20 * np.eye(1500))
    weights = -p / np.diag(p)
    np.fill_diagonal(weights, 0)
    scores = score(EASE(regularization=20).fit(log_of(board)), board[:5])
    assert scores == pytest.approx(board[:5] @ weights, abs=1e-4)


def test_ease_refuses_more_items_than_fit_in_memory():
    log = Interactions(np.array([0]), np.array([0]), np.array([0]), 1, 25_001)
    with pytest.raises(InputError, match="quadratic in items, 25,000 at most; the log has 25,001"):
        EASE().fit(log)


def test_ease_names_the_fix_if_float32_cannot_invert_the_matrix():
    # Two items with the same listeners differ only by the regularization, which float32 loses beside 10^4.
    with pytest.raises(InputError, match="Raise `regularization`"):
        EASE(regularization=1e-9).fit(log_of(np.ones((10_000, 2))))


def test_als_solves_for_the_listener():
    # Hu et al., equation 4, with confidence alpha: x = (Y'Y + Y'(C - I)Y + regularization I)^-1 Y'C p.
    model = ALS(factors=2, regularization=0.5, alpha=3.0, iterations=5).fit(log_of(checkerboard()))
    history = HISTORIES[0]
    y = model._model.item_factors.astype(float)
    confidence = np.where(history > 0, 3.0, 1.0)
    x = np.linalg.solve(y.T @ (confidence[:, None] * y) + 0.5 * np.eye(2), y.T @ (3.0 * history))
    assert score(model, [history])[0] == pytest.approx(y @ x, rel=1e-3, abs=1e-4)


def test_als_of_another_seed_starts_elsewhere():
    first, other = (score(ALS(factors=4, iterations=1, seed=s).fit(log_of(checkerboard())), HISTORIES) for s in (0, 1))
    assert not np.allclose(first[:2], other[:2])


def test_als_is_silent(capfd, recwarn, monkeypatch):
    monkeypatch.setattr("implicit.utils._checked_blas_config", False)  # the library warns once per process
    score(ALS(**FACTORS).fit(log_of(checkerboard())), HISTORIES)
    assert capfd.readouterr() == ("", "")
    assert [str(w.message) for w in recwarn] == []


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        pytest.param(lambda: Popularity(0), "`half_life_days` must be above 0; it is 0", id="half-life"),
        pytest.param(lambda: ItemKNN(neighbours=0), "`neighbours` must be above 0; it is 0", id="neighbours"),
        pytest.param(lambda: ItemKNN(shrink=-1), "`shrink` must not be negative; it is -1", id="shrink"),
        pytest.param(lambda: EASE(-5), "`regularization` must be above 0; it is -5", id="EASE's regularization"),
        pytest.param(lambda: ALS(factors=0), "`factors` must be above 0; it is 0", id="factors"),
        pytest.param(lambda: ALS(alpha=float("nan")), "`alpha` must be above 0; it is nan", id="alpha"),
    ],
)
def test_an_argument_out_of_range_is_refused(make, rule):
    with pytest.raises(InputError, match=rule):
        make()


def test_the_matrix_is_binary():
    log = Interactions(np.array([0, 0, 1]), np.array([1, 1, 0]), np.array([0, 1, 2]), 2, 3)
    assert log.matrix().toarray().tolist() == [[0, 1, 0], [1, 0, 0]]
    assert log.matrix().dtype == np.float32


def test_the_repr_of_interactions_shows_sizes_and_days():
    log = Interactions(np.array([0, 1]), np.array([0, 0]), np.array([0, 3 * DAY]), 1200, 5)
    assert repr(log) == "Interactions(1,200 listeners, 5 items, 2 interactions, 1970-01-01 to 1970-01-04)"
    empty = np.array([], int)
    assert (
        repr(Interactions(empty, empty, empty, 1, 5)) == "Interactions(1 listeners, 5 items, 0 interactions, no days)"
    )


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        pytest.param({"ts": [0]}, r"one length; they are int64\[2\], int64\[2\], int64\[1\]", id="lengths"),
        pytest.param({"item": [0.0, 1.0]}, r"integers .* float64\[2\]", id="not integers"),
        pytest.param({"user": [[0], [1]]}, r"flat .* int64\[2, 1\]", id="not flat"),
        pytest.param({"user": [0, 2]}, "`user` must lie from 0 up to 1; row 1 has 2", id="an unknown listener"),
        pytest.param({"item": [-1, 0]}, "`item` must lie from 0 up to 2; row 0 has -1", id="an item below 0"),
    ],
)
def test_interactions_that_break_a_rule_are_refused(columns, rule):
    given = {"user": [0, 1], "item": [0, 2], "ts": [0, 1], **columns}
    with pytest.raises(InputError, match=rule):
        Interactions(**{name: np.array(values) for name, values in given.items()}, users=2, items=3)

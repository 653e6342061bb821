"""Metrics of ranked lists, by hand."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from models.evaluation.list_metrics import (
    average_precision,
    coverage,
    genre_calibration,
    intra_list_diversity,
    ndcg,
    novelty,
    popularity_bias,
    precision,
    recall,
    reciprocal_rank,
    relevance,
)

NAN = np.nan


def test_relevance_marks_each_place():
    # Relevant are items 0 and 3 in row 0, no item in row 1, and item 0 in row 2, whose list is one item short.
    truth = csr_matrix([[1, 0, 0, 5], [0, 0, 0, 0], [1, 0, 0, 0]])
    top = np.array([[3, 1, 0], [0, 1, 2], [2, 0, -1]])
    assert relevance(top, truth).tolist() == [[True, False, True], [False, False, False], [False, True, False]]


def test_an_empty_place_is_no_hit():
    assert relevance(np.array([[-1, -1]]), csr_matrix([[1, 0, 1]])).tolist() == [[False, False]]


def test_an_explicit_0_is_not_relevant():
    truth = csr_matrix((np.array([0.0, 1.0]), np.array([0, 1]), np.array([0, 2])), shape=(1, 2))
    assert relevance(np.array([[0, 1]]), truth).tolist() == [[False, True]]


HIT_3 = 1 / np.log2(4)  # discounted gain of the third place


@pytest.mark.parametrize(
    ("metric", "hits", "relevant", "value"),
    [
        pytest.param(precision, [1, 0, 1], 4, 2 / 3, id="precision: 2 of 3 places"),
        pytest.param(precision, [1, 0, 0], 1, 1 / 3, id="precision: the only relevant item and 2 misses"),
        pytest.param(recall, [1, 0, 1], 4, 2 / 4, id="recall: 2 of 4"),
        pytest.param(recall, [1, 1, 1], 6, 3 / 6, id="recall: a perfect list shorter than the relevant items"),
        pytest.param(recall, [0, 0, 0], 2, 0, id="recall: no hit"),
        pytest.param(ndcg, [1, 1, 1], 6, 1, id="ndcg: a perfect list shorter than the relevant items"),
        pytest.param(ndcg, [1, 0, 0], 1, 1, id="ndcg: the only relevant item first"),
        pytest.param(ndcg, [0, 0, 1], 1, HIT_3, id="ndcg: the only relevant item third"),
        pytest.param(ndcg, [1, 0, 1], 2, (1 + HIT_3) / (1 + 1 / np.log2(3)), id="ndcg: first and third of two"),
        pytest.param(reciprocal_rank, [1, 0, 1], 2, 1, id="reciprocal rank: first"),
        pytest.param(reciprocal_rank, [0, 0, 1], 2, 1 / 3, id="reciprocal rank: third"),
        pytest.param(reciprocal_rank, [0, 0, 0], 2, 0, id="reciprocal rank: no hit"),
        # Precision is 1 at the first hit and 2/3 at the second.
        pytest.param(average_precision, [1, 0, 1], 2, (1 + 2 / 3) / 2, id="average precision: first and third of two"),
        pytest.param(
            average_precision, [1, 0, 1], 9, (1 + 2 / 3) / 3, id="average precision: at most three relevant items fit"
        ),
        pytest.param(
            average_precision, [1, 1, 1], 9, 1, id="average precision: a perfect list shorter than the relevant items"
        ),
    ],
)
def test_accuracy_by_hand(metric, hits, relevant, value):
    assert metric(np.array([hits], bool), np.array([relevant])) == pytest.approx([value])


ACCURACY = [precision, recall, ndcg, reciprocal_rank, average_precision]


@pytest.mark.parametrize("metric", ACCURACY)
def test_a_row_without_a_relevant_item_is_nan_and_left_out_of_the_mean(metric):
    values = metric(np.array([[True], [False]]), np.array([1, 0]))
    assert np.isnan(values).tolist() == [False, True]
    assert np.nanmean(values) == 1.0


@pytest.mark.parametrize("metric", ACCURACY)
def test_another_hit_never_lowers_a_metric(metric):
    rng = np.random.default_rng(0)
    hits = rng.random((200, 5)) < 0.4
    hits[:, 3] = False
    more = hits.copy()
    more[:, 3] = True
    relevant = np.full(200, 8)
    assert (metric(more, relevant) >= metric(hits, relevant)).all()


@pytest.mark.parametrize("metric", [ndcg, reciprocal_rank, average_precision])
def test_an_earlier_hit_is_worth_more(metric):
    values = metric(np.eye(4, dtype=bool), np.ones(4, int))
    assert (np.diff(values) < 0).all()


def test_coverage_is_the_share_of_items_in_any_list():
    # Items 0, 2 and 3 of 6.
    assert coverage(np.array([[0, 2], [2, 3], [0, -1]]), 6) == 3 / 6


def test_novelty_is_the_mean_information_of_the_items():
    # The shares 1/2, 1/4, 1/8 and 1/8 are 1, 2, 3 and 3 bits.
    top = np.array([[0, 1], [2, 3], [1, -1], [-1, -1]])
    assert novelty(top, np.array([4, 2, 1, 1])) == pytest.approx([1.5, 3, 2, NAN], nan_ok=True)


def test_an_item_without_interactions_counts_as_one_interaction():
    # The shares are 2/4, 1/4 and, as if it had one interaction, 1/4.
    assert novelty(np.array([[1], [2]]), np.array([2, 1, 0])) == pytest.approx([2, 2])


CONTENT = np.array([[3.0, 0.0], [5.0, 0.0], [0.0, 2.0], [0.0, 0.0]])


@pytest.mark.parametrize(
    ("items", "diversity"),
    [
        pytest.param([0, 1, -1], 0, id="two of the same direction"),
        pytest.param([0, 2, -1], 1, id="two with nothing in common"),
        # Cosines of (0, 1), (0, 2), (1, 2): 1, 0, 0.
        pytest.param([0, 1, 2], 1 - 1 / 3, id="three pairs"),
        pytest.param([0, 2, 3], 1, id="an item without content is left out"),
        pytest.param([0, 3, -1], NAN, id="one item with content"),
        pytest.param([-1, -1, -1], NAN, id="an empty list"),
    ],
)
def test_intra_list_diversity(items, diversity):
    assert intra_list_diversity(np.array([items]), CONTENT) == pytest.approx([diversity], nan_ok=True)


def test_diversity_is_the_mean_over_all_pairs():
    content = np.random.default_rng(0).normal(size=(20, 6))
    top = np.array([[3, 8, 1, 15], [2, 19, 0, 7]])
    unit = content / np.linalg.norm(content, axis=1, keepdims=True)
    pairs = [[unit[a] @ unit[b] for n, a in enumerate(row) for b in row[n + 1 :]] for row in top]
    assert intra_list_diversity(top, content) == pytest.approx(1 - np.mean(pairs, axis=1))


COUNTS = np.array([8, 4, 2])


@pytest.mark.parametrize(
    ("top", "histories", "bias"),
    [
        pytest.param([[0]], [[0, 0, 1]], 8 / 2, id="a hit for a listener of niche items"),
        pytest.param([[1, 2]], [[0, 1, 1]], 1, id="the items of the history"),
        # The lists have (8 + 4) / 2 = 6 and 2, mean 4; the histories have 8 and (8 + 4) / 2 = 6, mean 7.
        pytest.param([[0, 1], [2, -1]], [[3, 0, 0], [1, 1, 0]], 4 / 7, id="every listener counts equally"),
        pytest.param([[0], [2]], [[0, 0, 0], [0, 1, 0]], 2 / 4, id="a listener without a history is left out"),
        pytest.param([[-1], [2]], [[1, 0, 0], [0, 1, 0]], 2 / 4, id="a listener without a list is left out"),
        pytest.param([[0]], [[0, 0, 0]], NAN, id="no listener is left"),
    ],
)
def test_popularity_bias(top, histories, bias):
    assert popularity_bias(np.array(top), csr_matrix(histories), COUNTS) == pytest.approx(bias, nan_ok=True)


# Genres of four items: drama, comedy, both equally, and none.
GENRES = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0], [0.0, 0.0]])


@pytest.mark.parametrize(
    ("items", "history", "divergence"),
    [
        pytest.param([0, 1], [0, 0, 1, 0], 0, id="the same mix from other items"),
        # p = (1, 0), q = (1/2, 1/2): log(1 / (0.99 / 2 + 0.01)).
        pytest.param([0, 1], [1, 0, 0, 0], -np.log(0.505), id="half of the list has another genre"),
        # p = (1/2, 1/2), q = (1, 0): q smoothed is (0.995, 0.005).
        pytest.param(
            [0, -1], [0, 0, 7, 0], (np.log(0.5 / 0.995) + np.log(0.5 / 0.005)) / 2, id="the list lacks a genre"
        ),
        pytest.param([0, -1], [0, 1, 0, 0], -np.log(0.01), id="nothing in common"),
        pytest.param([0, 3], [1, 0, 0, 1], 0, id="items without a genre have no vote"),
        pytest.param([3, -1], [1, 0, 0, 0], NAN, id="a list without a genre"),
        pytest.param([0, 1], [0, 0, 0, 0], NAN, id="no history"),
    ],
)
def test_genre_calibration(items, history, divergence):
    divergences = genre_calibration(np.array([items]), csr_matrix([history]), GENRES)
    assert divergences == pytest.approx([divergence], nan_ok=True)


def test_a_rows_value_does_not_depend_on_other_rows():
    top, histories = np.array([[0, 1], [2, 3], [1, -1]]), csr_matrix([[1, 0, 0, 0], [0, 1, 1, 0], [1, 0, 1, 0]])
    alone = [genre_calibration(top[[n]], histories[[n]], GENRES)[0] for n in range(3)]
    assert genre_calibration(top, histories, GENRES) == pytest.approx(alone)

"""Figures of the retrieval benchmark, by hand; how the two stages are joined; and the targets."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from benchmarks.retrieval.data import Task
from benchmarks.retrieval.figures import answer, of_lists, of_targets, of_tops, random_recall, top_items
from benchmarks.retrieval.targets import targets
from benchmarks.serving.process import target

SCORES = np.array([[4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0]], np.float32)


def task(row: list[int], item: list[int], history: list[list[int]]) -> Task:
    """Two requests over four items; what is in the history is no candidate."""
    return Task(
        np.array([0, 1]), np.array([0, 0]), csr_matrix(np.array(history)), np.array(row), np.array(item), None, True
    )


def scores(rows: slice, allowed: np.ndarray) -> np.ndarray:
    return SCORES[rows]


def test_a_target_has_its_place_among_the_candidates():
    # Request 0 without item 0: 1, 2, 3. Request 1 has all four: 3, 2, 1, 0; item 0 is no candidate of request 0.
    asked = task([0, 0, 1], [2, 0, 0], [[1, 0, 0, 0], [0, 0, 0, 0]])
    found = answer(scores, asked)
    assert found.rank.tolist() == [1, np.inf, 3]
    assert found.top.tolist() == [[1, 2, 3, -1], [3, 2, 1, 0]]


def test_figures_of_single_targets():
    asked = task([0, 1], [1, 0], [[1, 0, 0, 0], [0, 0, 0, 0]])
    figures = of_targets(answer(scores, asked), asked, seed=0)
    # Places 0 and 3: (1 / log2(2) + 1 / log2(5)) / 2 = (1 + 0.4307) / 2.
    assert figures["ndcg@10"]["mean"] == pytest.approx(0.7153, abs=1e-4)
    assert figures["recall@20"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    assert figures["mrr"]["mean"] == pytest.approx((1 + 1 / 4) / 2)


def test_what_lists_are_like():
    asked = task([0, 1], [1, 0], [[1, 0, 0, 0], [0, 0, 0, 0]])
    genres = np.eye(4)
    figures = of_tops(np.array([[1, 2, 3, -1], [3, 2, 1, -1]]), asked, np.array([5, 1, 1, 1]), genres)
    assert figures["coverage"] == 0.75
    assert figures["novelty"] == pytest.approx(3.0)  # each of them is an eighth of the log: 3 bits
    assert figures["intra_list_diversity"] == 1.0  # no two share a genre
    assert figures["popularity_bias"] == pytest.approx(1 / 5)  # the one listener with a past chose the popular item


def test_figures_of_lists():
    asked = task([0, 0, 1], [2, 3, 0], [[1, 0, 0, 0], [0, 0, 0, 0]])
    figures = of_lists(answer(scores, asked), asked, seed=0)
    # Places 1 and 2 of an ideal 0 and 1: (0.6309 + 0.5) / 1.6309 = 0.6934; place 3 of an ideal 0: 0.4307.
    assert figures["ndcg@10"]["mean"] == pytest.approx((0.6934 + 0.4307) / 2, abs=1e-4)
    assert figures["recall@10"]["mean"] == figures["recall@100"]["mean"] == 1.0


def test_chance_counts_candidates():
    # Request 0 has three candidates and item 0 is none of them; request 1 has four.
    asked = task([0, 0, 1], [1, 0, 0], [[1, 0, 0, 0], [0, 0, 0, 0]])
    everything = np.ones(3, bool)
    assert random_recall(asked, everything, 2) == pytest.approx((2 / 3 + 0 + 2 / 4) / 3)
    assert random_recall(asked, np.array([False, False, True]), 100) == 1.0


@pytest.mark.parametrize(("k", "expected"), [(1, [[2]]), (2, [[2, 0]]), (4, [[2, 0, 1, -1]]), (9, [[2, 0, 1, -1]])])
def test_the_best_come_first_and_ties_by_number(k, expected):
    assert top_items(np.array([[1.0, 1.0, 5.0, -np.inf]]), k).tolist() == expected


def test_ranked_items_go_before_all_others():
    from benchmarks.retrieval.contestants import ahead

    top = np.array([[3, 1, -1]])
    found = ahead(np.array([[9.0, 1.0, 5.0, 2.0]], np.float32), top, np.array([[0.1, 0.7, -np.inf]]))
    assert np.argsort(-found[0]).tolist() == [1, 3, 0, 2]


def test_queries_of_one_request_are_averaged():
    from benchmarks.retrieval.contestants import mean_by

    found = mean_by(np.array([0, 1, 1]), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 8.0]]))
    assert found.tolist() == [[1, 2], [4, 6]]


def measured(mean: float, speed: float = 1.0) -> dict:
    figure = {"mean": mean, "low": mean - 0.02, "high": mean + 0.02}
    figures = dict.fromkeys(("recall@20", "recall@100", "ndcg@10"), figure)
    return {**figures, "train_seconds": 1.0, "examples_per_second": speed}


@pytest.mark.parametrize(("best", "holds"), [(0.29, True), (0.31, True), (0.33, False)])
def test_within_its_own_interval_of_the_first(best, holds):
    found = targets("a", {"time": {"segue": measured(0.3), "ease": measured(best), "left_out": {}}})
    assert set(found) == {"first_recall@20", "first_recall@100", "first_ndcg@10"}
    assert found["first_ndcg@10"]["holds"] is holds


def test_targets_beside_the_tutorial_and_chance():
    split = {
        "segue_retrieval": measured(0.3, 9.0),
        "tfrs_tutorial": measured(0.1, 4.0),
        "new_items": {"examples": 3, "random_recall@100": 0.1, "segue_retrieval": {"recall@100": 0.5, "ratio": 5.0}},
    }
    found = targets("a", {"time": split})
    assert found["throughput_times_tutorial"] == target(2.25, least=3.0)
    assert found["recall@100_beside_tutorial"] == target(0.3, least=0.1)
    assert found["new_items_times_random"] == target(5.0, least=5.0)


@pytest.mark.parametrize(("data", "count"), [("movielens-100k", 2), ("lastfm-2k", 0)])
def test_published_figures_are_of_one_data_set(data, count):
    splits = {"random_75_25": {"segue": measured(0.46)}, "random_80_20": {"segue_retrieval": measured(0.2)}}
    found = targets(data, splits)
    assert len(found) == count
    if count:
        assert found["random_75_25_ndcg@10"]["holds"]
        assert not found["random_80_20_recall@100"]["holds"]

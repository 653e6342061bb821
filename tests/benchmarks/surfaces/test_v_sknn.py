"""V-SKNN on four past sessions: the arithmetic is in the comments."""

import numpy as np
import pytest

from benchmarks.surfaces.v_sknn import VSKNN, Setting

A, B, C, D, E = range(5)
SESSIONS = [(1, [A, B, C]), (2, [B, D]), (3, [A, E]), (4, [D, E])]


def scores(session, k=10, sample=10, **settings):
    return VSKNN(Setting(k, sample, **settings), SESSIONS, 5).scores(session)


def test_the_weight_of_an_item_is_its_place():
    # The running session is A, B: weights 1/2 and 1. Similarities: ABC (1/2 + 1) / 2 = 3/4; BD 1/2; AE 1/4.
    # Votes: ABC shares the last item, 3/4; BD too, 1/2; AE shares the item before it, 1/4 / 2 = 1/8.
    assert scores([A, B]).tolist() == pytest.approx([3 / 4 + 1 / 8, 3 / 4 + 1 / 2, 3 / 4, 1 / 2, 1 / 8])


def test_only_the_nearest_neighbours_vote():
    assert scores([A, B], k=1).tolist() == pytest.approx([3 / 4, 3 / 4, 3 / 4, 0, 0])


def test_only_the_most_recent_sessions_are_candidates():
    # The newest session with A or B is AE.
    assert scores([A, B], sample=1).tolist() == pytest.approx([1 / 8, 0, 0, 0, 1 / 8])


def test_rare_items_count_more():
    # D is in two of four sessions: 1 + log(4 / 2).
    assert scores([B], idf_weight=1.0)[D] == pytest.approx(1 + np.log(2))


def test_a_session_without_known_items_scores_nothing():
    assert scores([]).tolist() == [0] * 5

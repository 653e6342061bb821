"""Retrieval's candidates before the ranking model."""

from datetime import timedelta

import numpy as np
import pytest

from events.schema import HEADS
from models.choice import FEWEST
from models.export import ServedRanking, call
from models.raw import raw_query
from models.two_stage import CANDIDATES, Lists, best, candidate_lists, fit_choice_head, rank_lists, released_unseen
from models.workloads import NO_FILTERS
from tests.models.conftest import ITEMS, REWARD

IDS = np.array(["a", "b", "c"], object)


@pytest.fixture(scope="module")
def items(make_catalogue, noon):
    """Three items; c comes out an hour after noon."""
    now = int(noon.timestamp())
    return make_catalogue(
        {"item_id": "a", "release_ts": None},
        {"item_id": "b", "release_ts": now},
        {"item_id": "c", "release_ts": now + 3600},
    )


@pytest.mark.parametrize(
    ("history", "filter_seen", "allowed"),
    [
        pytest.param([], False, [True, True, False], id="released only"),
        pytest.param(["a"], False, [True, True, False], id="seen and not asked"),
        pytest.param(["a", "stranger"], True, [False, True, False], id="seen and asked"),
        pytest.param([], True, [True, True, False], id="nothing seen"),
    ],
)
def test_who_may_answer(make_table, items, history, filter_seen, allowed):
    assert released_unseen(make_table({"history_items": history}), items, filter_seen).tolist() == [allowed]


def test_who_may_answer_is_a_rows_own(make_table, items, noon):
    chunk = make_table({"history_items": ["a"]}, {"history_items": ["b", "b"], "ts": noon + timedelta(hours=1)})
    expected = [[False, True, False], [True, False, True]]
    assert released_unseen(chunk, items, True).tolist() == expected
    assert released_unseen(chunk.slice(1, 1), items, True).tolist() == expected[1:]


@pytest.mark.parametrize(
    ("scores", "k", "ids", "values"),
    [
        pytest.param([1.0, 3.0, 2.0], 2, ["b", "c"], [3, 2], id="the best"),
        pytest.param([1.0, 3.0, 2.0], 9, ["b", "c", "a"], [3, 2, 1], id="all there are"),
        pytest.param([-2.0, -np.inf, -1.0], 3, ["c", "a", ""], [-1, -2, 0], id="candidates run out"),
        pytest.param([-np.inf] * 3, 2, ["", ""], [0, 0], id="nobody may"),
    ],
)
def test_the_best(scores, k, ids, values):
    found = best(np.array([scores]), IDS, k)
    assert (found.ids.tolist(), found.scores.tolist()) == ([ids], [values])


@pytest.fixture(scope="module")
def lists(saved_retrieval, world) -> Lists:
    """Retrieval's candidates for the test span."""
    return candidate_lists(saved_retrieval, world.test, world.items, filter_seen=False)


def test_candidates_are_what_is_served(lists, retrieval_signatures, world):
    assert lists.ids.shape == lists.scores.shape == (world.test.num_rows, min(ITEMS, CANDIDATES))
    raw = raw_query(world.test.slice(0, 8), world.encoder.axes)
    asked = {name: np.repeat(value, 8, axis=0) for name, value in NO_FILTERS.items()} | {
        "k": np.full(8, ITEMS, np.int32)
    }
    served = call(retrieval_signatures["serving_default"], raw | asked)
    np.testing.assert_allclose(lists.scores[:8], served["scores"], rtol=1e-4, atol=1e-4)
    assert (lists.ids[:8] == np.char.decode(served["item_ids"].astype(bytes))).mean() > 0.9  # near ties may swap


def test_what_was_seen_is_no_candidate_if_so_asked(saved_retrieval, world):
    part = world.test.slice(0, 5)
    found = candidate_lists(saved_retrieval, part, world.items, filter_seen=True)
    for ids, history in zip(found.ids, part["history_items"].to_pylist(), strict=True):
        assert sorted({*ids} - {""}) == sorted({f"i{n}" for n in range(ITEMS)} - {*history})


def test_lists_are_ranked_as_they_stand(lists, saved_ranking, world):
    part, own = world.test.slice(0, 70), Lists(lists.ids[:70, :5], lists.scores[:70, :5])
    found = rank_lists(saved_ranking, part, own)
    assert {*HEADS, "choice", "listen", "reward", "uncertainty"} == set(found)
    assert {values.shape for values in found.values()} == {(70, 5)}
    # The choice head was not fitted: retrieval's order, which is best first.
    assert (np.diff(found["choice"], axis=1) <= 1e-5).all()
    one = rank_lists(saved_ranking, part.slice(66, 1), Lists(own.ids[66:67], own.scores[66:67]))
    for name, values in one.items():
        np.testing.assert_allclose(values[0], found[name][66], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.fixture
def served(trained_ranking, world):
    """The trained ranking model, whose choice head goes back to what it was."""
    head = trained_ranking.model.choice
    weights = head.get_weights()
    yield ServedRanking(trained_ranking.model, world.items, REWARD)
    head.set_weights(weights)


def test_the_choice_head_learns_from_what_was_chosen_among_the_candidates(served, lists, world):
    kept = np.flatnonzero(world.test["positive"].to_numpy())
    positives, own = world.test.take(kept), Lists(lists.ids[kept], lists.scores[kept])
    found = fit_choice_head(served, positives, own, seed=0)
    assert found["lists"] == len(kept) >= FEWEST
    assert found["after"] <= found["before"]


def test_choices_that_retrieval_missed_say_nothing(served, lists, world):
    before = served.model.choice.get_weights()
    none = Lists(np.full_like(lists.ids, "elsewhere"), lists.scores)
    assert fit_choice_head(served, world.test, none, seed=0) == {"lists": 0}
    for one, two in zip(before, served.model.choice.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)

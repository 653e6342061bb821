"""Retrieval's candidates before the ranking model."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from events.schema import HEADS
from models.inputs.raw_query import raw_query
from models.ranking.choice import FEWEST, SEQUENCE, fit_choice
from models.ranking.two_stage import (
    Choices,
    Lists,
    Scorer,
    best,
    candidate_lists,
    choices,
    fit_order,
    merge,
    rank_lists,
    released_unseen,
    without_sequence,
    worth_of_sequence,
)
from models.saved.filters import NO_FILTERS
from models.saved.ranking_export import ServedRanking
from models.saved.saved_model import call
from segue.candidates import RETRIEVAL_CANDIDATES, SEQUENCE_CANDIDATES
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
    ("scores", "k", "places", "values"),
    [
        pytest.param([1.0, 3.0, 2.0], 2, [1, 2], [3, 2], id="the best"),
        pytest.param([1.0, 3.0, 2.0], 9, [1, 2, 0], [3, 2, 1], id="all there are"),
        pytest.param([-2.0, -np.inf, -1.0], 3, [2, 0, -1], [-1, -2, -np.inf], id="candidates run out"),
        pytest.param([-np.inf] * 3, 2, [-1, -1], [-np.inf] * 2, id="nobody may"),
    ],
)
def test_the_best(scores, k, places, values):
    found, of = best(np.array([scores]), k)
    assert (found.tolist(), of.tolist()) == ([places], [values])


def test_candidates_of_both_models_stand_once_each(monkeypatch):
    monkeypatch.setattr("models.ranking.two_stage.RETRIEVAL_CANDIDATES", 2)
    monkeypatch.setattr("models.ranking.two_stage.SEQUENCE_CANDIDATES", 2)
    first = np.array([[3.0, 2.0, 1.0], [3.0, -np.inf, -np.inf]])
    second = np.array([[0.1, 0.3, 0.2], [0.5, -np.inf, -np.inf]])
    found = merge(first, second, IDS)
    assert found.ids.tolist() == [["a", "b", "", "c"], ["a", "", "", ""]]
    # What one of them did not find has the least of what it did.
    assert found.scores.tolist() == [[3, 2, 2, 2], [3, 3, 3, 3]]
    np.testing.assert_allclose(found.following, [[0.2, 0.3, 0.2, 0.2], [0.5] * 4])


def test_without_the_sequence_model_its_scores_are_nothing():
    found = merge(np.array([[3.0, 2.0, 1.0]]), None, IDS)
    assert found.ids.tolist() == [["a", "b", "c"]]
    assert found.following.tolist() == [[0, 0, 0]]


@pytest.fixture(scope="module")
def lists(saved_retrieval, world) -> Lists:
    """Retrieval's candidates for the test span."""
    return candidate_lists({"retrieval": saved_retrieval}, world.test, world.items, filter_seen=False)


def test_candidates_are_what_is_served(lists, retrieval_signatures, world):
    assert lists.ids.shape == lists.scores.shape == (world.test.num_rows, min(ITEMS, RETRIEVAL_CANDIDATES))
    raw = raw_query(world.test.slice(0, 8), world.encoder.axes)
    asked = {name: np.repeat(value, 8, axis=0) for name, value in NO_FILTERS.items()} | {
        "k": np.full(8, ITEMS, np.int32)
    }
    served = call(retrieval_signatures["serving_default"], raw | asked)
    np.testing.assert_allclose(lists.scores[:8], served["scores"], rtol=1e-4, atol=1e-4)
    assert (lists.ids[:8] == np.char.decode(served["item_ids"].astype(bytes))).mean() > 0.9  # near ties may swap


def test_what_was_seen_is_no_candidate_if_so_asked(saved_retrieval, world):
    part = world.test.slice(0, 5)
    found = candidate_lists({"retrieval": saved_retrieval}, part, world.items, filter_seen=True)
    for ids, history in zip(found.ids, part["history_items"].to_pylist(), strict=True):
        assert sorted({*ids} - {""}) == sorted({f"i{n}" for n in range(ITEMS)} - {*history})


def test_lists_are_ranked_as_they_stand(lists, saved_ranking, world):
    part, own = world.test.slice(0, 70), Lists(lists.ids[:70, :5], lists.scores[:70, :5], lists.following[:70, :5])
    found = rank_lists(saved_ranking, part, own)
    assert {*HEADS, "choice", "listen", "reward", "uncertainty"} == set(found)
    assert {values.shape for values in found.values()} == {(70, 5)}
    # The choice head was not fitted: retrieval's order, which is best first.
    assert (np.diff(found["choice"], axis=1) <= 1e-5).all()
    one = rank_lists(saved_ranking, part.slice(66, 1), own.take(slice(66, 67)))
    for name, values in one.items():
        np.testing.assert_allclose(values[0], found[name][66], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.fixture
def served(trained_ranking, world):
    """The trained ranking model, whose choice head goes back to what it was."""
    head = trained_ranking.model.choice
    weights = head.get_weights()
    yield ServedRanking(trained_ranking.model, world.items, REWARD)
    head.set_weights(weights)


@pytest.fixture
def known(served, lists, world):
    """What was chosen among retrieval's candidates."""
    kept = np.flatnonzero(world.test["positive"].to_numpy())
    return choices(served, world.test.take(kept), lists.take(kept))


def test_what_was_chosen_among_the_candidates_is_learned_from(served, known, world):
    assert len(known.chosen) == sum(world.test["positive"].to_pylist()) >= FEWEST
    assert known.users.shape == known.chosen.shape
    found = fit_choice(served.model.choice, known.figures, known.present, known.chosen, seed=0)
    assert found["after"] <= found["before"]


def test_choices_that_retrieval_missed_say_nothing(served, lists, world):
    none = Lists(np.full_like(lists.ids, "elsewhere"), lists.scores, lists.following)
    assert len(choices(served, world.test, none).chosen) == 0


def test_the_worth_of_the_sequence_models_figures(served, known):
    head = served.model.choice
    before = head.get_weights()
    # Figures that tell what was chosen are worth something; figures that tell nothing are not.
    told = known.figures.copy()
    told[..., SEQUENCE] = 0.0
    nothing = worth_of_sequence(head, replace(known, figures=told), seed=0)
    assert nothing.mean == 0.0
    told[np.arange(len(told)), known.chosen, SEQUENCE.start] = 1.0
    all_of_it = worth_of_sequence(head, replace(known, figures=told), seed=0)
    assert all_of_it.low > 0.05
    for one, two in zip(before, head.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("harm", [True, False])
def test_figures_that_do_harm_are_not_looked_at(served, known, harm):
    # Until the lists that judge it a figure tells what was chosen, and there what was not.
    figures = without_sequence(known.figures)
    count = len(figures)
    figures[np.arange(count), known.chosen, SEQUENCE.start] = 1.0
    if harm:
        figures[round(0.75 * count) :, :, SEQUENCE.start] *= -1.0
    head = served.model.choice
    found = fit_order(head, replace(known, figures=figures), asked=True, seed=0)
    assert (found["sequence_ndcg_at_10"]["high"] < 0) == harm
    assert found["sequence_used"] != harm
    same = np.array_equal(head(figures).numpy(), head(without_sequence(figures)).numpy())
    assert same == harm


def test_a_sequence_model_that_was_not_asked_has_no_worth(served, known):
    assert set(fit_order(served.model.choice, known, asked=False, seed=0)) == {"lists", "before", "after"}


def test_too_few_choices_tell_no_worth(served, known):
    few = Choices(known.figures[:9], known.present[:9], known.chosen[:9], known.users[:9])
    assert worth_of_sequence(served.model.choice, few, seed=0) is None


def test_both_models_find_candidates(saved_retrieval, saved_sequence, world):
    part = world.test.slice(0, 30)
    models = {"retrieval": saved_retrieval, "sequence": saved_sequence}
    found = candidate_lists(models, part, world.items, filter_seen=False)
    assert found.ids.shape[1] == min(ITEMS, RETRIEVAL_CANDIDATES) + min(ITEMS, SEQUENCE_CANDIDATES)
    scores = Scorer(saved_sequence, world.items)(part)
    by_id = dict(zip(world.items["item_id"].to_pylist(), scores[0], strict=True))
    assert sorted(filter(None, found.ids[0])) == sorted(by_id)
    for item, score in zip(found.ids[0], found.following[0], strict=True):
        assert score == pytest.approx(by_id[item] if item else min(by_id.values()), abs=1e-5)


def test_an_item_that_the_sequence_model_does_not_know_is_no_candidate_of_its(saved_sequence, world, make_catalogue):
    items = pa.concat_tables([world.items, make_catalogue({"item_id": "later"})])
    scores = Scorer(saved_sequence, items)(world.test.slice(0, 3))
    assert np.isneginf(scores[:, -1]).all()
    assert np.isfinite(scores[:, :-1]).all()

"""Candidates of retrieval and the sequence model, and the ranking model that is fitted on them."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from events.schema import HEADS
from models.inputs.raw_query import NO_FILTERS, raw_query
from models.ranking.choice import MIN_LISTS, SEQUENCE, fit_choice
from models.ranking.two_stage import (
    Choices,
    Lists,
    Scorer,
    best,
    candidate_lists,
    choices,
    fit_order,
    gain_of_sequence,
    merge,
    rank_lists,
    released_unseen,
    without_sequence,
)
from models.saved.ranking_export import ServedRanking
from models.saved.saved_model import call
from segue.candidates import RETRIEVAL_CANDIDATES, SEQUENCE_CANDIDATES
from tests.models.conftest import ITEMS, REWARD

IDS = np.array(["a", "b", "c"], object)


@pytest.fixture(scope="module")
def items(make_catalogue, noon):
    """Three items; c is released an hour after noon."""
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
        pytest.param(["a"], False, [True, True, False], id="seen items are not excluded"),
        pytest.param(["a", "stranger"], True, [False, True, False], id="seen items are excluded"),
        pytest.param([], True, [True, True, False], id="empty history"),
    ],
)
def test_candidates_of_a_request(make_table, items, history, filter_seen, allowed):
    assert released_unseen(make_table({"history_items": history}), items, filter_seen).tolist() == [allowed]


def test_each_row_has_its_own_candidates(make_table, items, noon):
    chunk = make_table({"history_items": ["a"]}, {"history_items": ["b", "b"], "ts": noon + timedelta(hours=1)})
    expected = [[False, True, False], [True, False, True]]
    assert released_unseen(chunk, items, True).tolist() == expected
    assert released_unseen(chunk.slice(1, 1), items, True).tolist() == expected[1:]


@pytest.mark.parametrize(
    ("scores", "k", "places", "values"),
    [
        pytest.param([1.0, 3.0, 2.0], 2, [1, 2], [3, 2], id="the best"),
        pytest.param([1.0, 3.0, 2.0], 9, [1, 2, 0], [3, 2, 1], id="fewer items than k"),
        pytest.param([-2.0, -np.inf, -1.0], 3, [2, 0, -1], [-1, -2, -np.inf], id="fewer candidates than k"),
        pytest.param([-np.inf] * 3, 2, [-1, -1], [-np.inf] * 2, id="no candidates"),
    ],
)
def test_the_best_items(scores, k, places, values):
    columns, best_scores = best(np.array([scores]), k)
    assert (columns.tolist(), best_scores.tolist()) == ([places], [values])


def test_a_candidate_of_both_models_is_listed_once(monkeypatch):
    monkeypatch.setattr("models.ranking.two_stage.RETRIEVAL_CANDIDATES", 2)
    monkeypatch.setattr("models.ranking.two_stage.SEQUENCE_CANDIDATES", 2)
    first = np.array([[3.0, 2.0, 1.0], [3.0, -np.inf, -np.inf]])
    second = np.array([[0.1, 0.3, 0.2], [0.5, -np.inf, -np.inf]])
    merged = merge(first, second, IDS)
    assert merged.ids.tolist() == [["a", "b", "", "c"], ["a", "", "", ""]]
    # A candidate that a model did not find has the lowest score that the model found.
    assert merged.retrieval_scores.tolist() == [[3, 2, 2, 2], [3, 3, 3, 3]]
    np.testing.assert_allclose(merged.sequence_scores, [[0.2, 0.3, 0.2, 0.2], [0.5] * 4])


def test_sequence_scores_are_0_without_the_sequence_model():
    merged = merge(np.array([[3.0, 2.0, 1.0]]), None, IDS)
    assert merged.ids.tolist() == [["a", "b", "c"]]
    assert merged.sequence_scores.tolist() == [[0, 0, 0]]


@pytest.fixture(scope="module")
def lists(saved_retrieval, world) -> Lists:
    """Retrieval's candidates for the test span."""
    return candidate_lists({"retrieval": saved_retrieval}, world.test, world.items, filter_seen=False)


def test_candidates_equal_the_served_ones(lists, retrieval_signatures, world):
    assert lists.ids.shape == lists.retrieval_scores.shape == (world.test.num_rows, min(ITEMS, RETRIEVAL_CANDIDATES))
    raw = raw_query(world.test.slice(0, 8), world.encoder.axes)
    options = {name: np.repeat(value, 8, axis=0) for name, value in NO_FILTERS.items()} | {
        "k": np.full(8, ITEMS, np.int32)
    }
    served = call(retrieval_signatures["serving_default"], raw | options)
    np.testing.assert_allclose(lists.retrieval_scores[:8], served["scores"], rtol=1e-4, atol=1e-4)
    same = lists.ids[:8] == np.char.decode(served["item_ids"].astype(bytes))
    assert same.mean() > 0.9  # nearly equal scores may be in another order


def test_seen_items_are_excluded_with_filter_seen(saved_retrieval, world):
    part = world.test.slice(0, 5)
    candidates = candidate_lists({"retrieval": saved_retrieval}, part, world.items, filter_seen=True)
    for ids, history in zip(candidates.ids, part["history_items"].to_pylist(), strict=True):
        assert sorted({*ids} - {""}) == sorted({f"i{n}" for n in range(ITEMS)} - {*history})


def test_ranking_keeps_the_places_of_candidates(lists, saved_ranking, world):
    part = world.test.slice(0, 70)
    own = Lists(lists.ids[:70, :5], lists.retrieval_scores[:70, :5], lists.sequence_scores[:70, :5])
    ranked = rank_lists(saved_ranking, part, own)
    assert {*HEADS, "choice", "listen", "reward", "uncertainty"} == set(ranked)
    assert {values.shape for values in ranked.values()} == {(70, 5)}
    # The choice head is unfitted, so it keeps retrieval's order, best first.
    assert (np.diff(ranked["choice"], axis=1) <= 1e-5).all()
    single = rank_lists(saved_ranking, part.slice(66, 1), own.take(slice(66, 67)))
    for name, values in single.items():
        np.testing.assert_allclose(values[0], ranked[name][66], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.fixture
def served(trained_ranking, world):
    """The trained ranking model; its choice head is restored afterwards."""
    head = trained_ranking.model.choice
    weights = head.get_weights()
    yield ServedRanking(trained_ranking.model, world.items, REWARD)
    head.set_weights(weights)


@pytest.fixture
def examples(served, lists, world):
    """The choices among retrieval's candidates."""
    kept = np.flatnonzero(world.test["positive"].to_numpy())
    return choices(served, world.test.take(kept), lists.take(kept))


def test_the_choice_head_learns_from_choices(served, examples, world):
    assert len(examples.chosen) == sum(world.test["positive"].to_pylist()) >= MIN_LISTS
    assert examples.users.shape == examples.chosen.shape
    fitted = fit_choice(served.model.choice, examples.features, examples.present, examples.chosen, seed=0)
    assert fitted["after"] <= fitted["before"]


def test_choices_outside_the_candidates_are_left_out(served, lists, world):
    none = Lists(np.full_like(lists.ids, "elsewhere"), lists.retrieval_scores, lists.sequence_scores)
    assert len(choices(served, world.test, none).chosen) == 0


def test_the_gain_of_the_sequence_models_features(served, examples):
    head = served.model.choice
    before = head.get_weights()
    # Constant features have no gain. A feature that marks the chosen candidate has a large gain.
    features = examples.features.copy()
    features[..., SEQUENCE] = 0.0
    no_gain = gain_of_sequence(head, replace(examples, features=features), seed=0)
    assert no_gain.mean == 0.0
    features[np.arange(len(features)), examples.chosen, SEQUENCE.start] = 1.0
    large_gain = gain_of_sequence(head, replace(examples, features=features), seed=0)
    assert large_gain.low > 0.05
    for expected, weights in zip(before, head.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, expected)


@pytest.mark.parametrize("harm", [True, False])
def test_harmful_sequence_features_are_ignored(served, examples, harm):
    # The feature marks the chosen candidate with 1. If it does harm, its sign is reversed in the judged lists.
    features = without_sequence(examples.features)
    count = len(features)
    features[np.arange(count), examples.chosen, SEQUENCE.start] = 1.0
    if harm:
        features[round(0.75 * count) :, :, SEQUENCE.start] *= -1.0
    head = served.model.choice
    fitted = fit_order(head, replace(examples, features=features), has_sequence=True, seed=0)
    assert (fitted["sequence_ndcg_at_10"]["high"] < 0) == harm
    assert fitted["sequence_used"] != harm
    same = np.array_equal(head(features).numpy(), head(without_sequence(features)).numpy())
    assert same == harm


def test_the_gain_is_not_measured_without_the_sequence_model(served, examples):
    assert set(fit_order(served.model.choice, examples, has_sequence=False, seed=0)) == {"lists", "before", "after"}


def test_the_gain_is_not_measured_on_few_lists(served, examples):
    few = Choices(examples.features[:9], examples.present[:9], examples.chosen[:9], examples.users[:9])
    assert gain_of_sequence(served.model.choice, few, seed=0) is None


def test_both_models_find_candidates(saved_retrieval, saved_sequence, world):
    part = world.test.slice(0, 30)
    models = {"retrieval": saved_retrieval, "sequence": saved_sequence}
    candidates = candidate_lists(models, part, world.items, filter_seen=False)
    assert candidates.ids.shape[1] == min(ITEMS, RETRIEVAL_CANDIDATES) + min(ITEMS, SEQUENCE_CANDIDATES)
    scores = Scorer(saved_sequence, world.items)(part)
    by_id = dict(zip(world.items["item_id"].to_pylist(), scores[0], strict=True))
    assert sorted(filter(None, candidates.ids[0])) == sorted(by_id)
    for item, score in zip(candidates.ids[0], candidates.sequence_scores[0], strict=True):
        assert score == pytest.approx(by_id[item] if item else min(by_id.values()), abs=1e-5)


def test_items_unknown_to_the_sequence_model_are_not_its_candidates(saved_sequence, world, make_catalogue):
    items = pa.concat_tables([world.items, make_catalogue({"item_id": "later"})])
    scores = Scorer(saved_sequence, items)(world.test.slice(0, 3))
    assert np.isneginf(scores[:, -1]).all()
    assert np.isfinite(scores[:, :-1]).all()

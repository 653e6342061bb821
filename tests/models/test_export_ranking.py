"""The ranking SavedModel: its signatures, and how candidates are scored."""

import numpy as np
import pytest
import tensorflow as tf

from events.schema import HEADS
from models.export import ServedRanking, call, read_card
from models.raw import item_specs, query_specs, raw_item, raw_query

REWARD = {"play": 1.0, "skip": -0.5, "like": 2.0}
CANDIDATES = ["i5", "i0", "i13", "i8"]
DAY = 86_400


@pytest.fixture(scope="module")
def raw(world):
    """Six queries of the test span."""
    return raw_query(world.test.slice(0, 6), world.encoder.axes)


def rank(ranking_signatures, raw, *ids: str) -> dict[str, np.ndarray]:
    """Scores of the same candidates for every query."""
    return call(
        ranking_signatures["serving_default"], raw | {"candidate_ids": np.array([ids] * len(raw["request_ts"]), object)}
    )


def contract(specs: dict) -> dict:
    """Names, types and shapes of a signature's side."""
    return {name: (spec.dtype, spec.shape.as_list()) for name, spec in specs.items()}


def test_the_signature_that_serves_takes_a_query_and_candidates(ranking_signatures, world):
    given = contract(ranking_signatures["serving_default"].structured_input_signature[1])
    assert given.pop("candidate_ids") == (tf.string, [None, None])
    assert given == contract(query_specs(world.encoder.axes))
    answered = contract(ranking_signatures["serving_default"].structured_outputs)
    assert answered == dict.fromkeys(["play", "skip", "like", "reward"], (tf.float32, [None, None]))


def test_the_signature_that_evaluates_takes_a_query_an_item_and_what_pairs_them(ranking_signatures, world):
    given = contract(ranking_signatures["score"].structured_input_signature[1])
    for name in ("genre_affinity", "age_at_request_days"):
        assert given.pop(name) == (tf.float32, [None])
    assert given == contract(query_specs(world.encoder.axes) | item_specs(world.encoder.axes))
    answered = contract(ranking_signatures["score"].structured_outputs)
    assert answered == dict.fromkeys(["play", "skip", "like", "reward"], (tf.float32, [None]))


def test_there_is_one_score_a_candidate(ranking_signatures, raw):
    for name, scores in rank(ranking_signatures, raw, *CANDIDATES).items():
        assert scores.shape == (6, 4), name
        assert np.isfinite(scores).all(), name


def test_heads_are_probabilities(ranking_signatures, raw):
    answer = rank(ranking_signatures, raw, *CANDIDATES)
    for head in HEADS:
        assert ((answer[head] > 0) & (answer[head] < 1)).all()


def test_the_reward_is_the_weighted_sum_of_the_heads(ranking_signatures, raw):
    answer = rank(ranking_signatures, raw, *CANDIDATES)
    expected = answer["play"] - 0.5 * answer["skip"] + 2 * answer["like"]
    np.testing.assert_allclose(answer["reward"], expected, rtol=1e-5)


def test_permuting_candidates_permutes_scores(ranking_signatures, raw):
    order = [2, 0, 3, 1]
    straight = rank(ranking_signatures, raw, *CANDIDATES)
    permuted = rank(ranking_signatures, raw, *(CANDIDATES[n] for n in order))
    for name, scores in straight.items():
        np.testing.assert_allclose(permuted[name], scores[:, order], rtol=1e-5, err_msg=name)


def test_a_score_does_not_depend_on_the_other_candidates(ranking_signatures, raw):
    alone, among = rank(ranking_signatures, raw, "i13"), rank(ranking_signatures, raw, *CANDIDATES)
    np.testing.assert_allclose(alone["play"][:, 0], among["play"][:, 2], rtol=1e-5)


@pytest.mark.parametrize("stranger", ["never seen", ""])
def test_unknown_candidates_have_finite_scores(ranking_signatures, raw, stranger):
    for name, scores in rank(ranking_signatures, raw, stranger, "i0").items():
        assert np.isfinite(scores).all(), name


@pytest.fixture(scope="module")
def varied(make_catalogue, noon):
    """Items with statistics of their own, unknown ones among them; `brand new` was never trained on."""
    now = int(noon.timestamp())
    return make_catalogue(
        {"item_id": "i5", "item_plays_7d": 30.0, "release_ts": now - 3 * DAY, "genre_weights": [1.0, 0.0]},
        {"item_id": "i0", "item_plays_7d": None, "item_trend": None, "release_ts": 0, "language": None},
        {"item_id": "brand new", "creator_id": "stranger", "genre_weights": [0.0, 1.0], "release_ts": now + DAY},
    )


def test_candidate_ids_score_as_the_same_items_with_explicit_features(trained_ranking, varied, raw, world, noon):
    module = ServedRanking(trained_ranking.model, varied, REWARD)
    taste = np.array([[0.75, 0.25]] * 6, np.float32)
    query = {n: tf.constant(v) for n, v in (raw | {"genre_shares": taste}).items()}
    ids = varied["item_id"].to_pylist()
    ranked = module.rank(tf.constant([ids] * 6), **query)
    # Affinity: shares times weights; age: days since the release, never negative, -1 if unknown.
    affinity = {"i5": 0.75, "i0": 0.5, "brand new": 0.25}
    minutes = np.arange(6, dtype=np.float32) / (24 * 60)  # the queries are a minute apart
    age = {"i5": 3 + minutes, "i0": np.full(6, -1.0), "brand new": np.zeros(6)}
    for n, item in enumerate(ids):
        one = {k: tf.constant(np.repeat(v[n : n + 1], 6, 0)) for k, v in raw_item(varied, world.encoder.axes).items()}
        pair = {
            "genre_affinity": tf.constant([affinity[item]] * 6),
            "age_at_request_days": tf.constant(age[item].astype(np.float32)),
        }
        for name, scores in module.score(**pair, **query, **one).items():
            np.testing.assert_allclose(ranked[name].numpy()[:, n], scores.numpy(), rtol=1e-4, err_msg=f"{item} {name}")


def test_an_item_that_left_the_catalogue_is_still_known_by_its_id(trained_ranking, make_catalogue, raw):
    module = ServedRanking(trained_ranking.model, make_catalogue({"item_id": "i0"}), REWARD)
    query = {n: tf.constant(v) for n, v in raw.items()}
    one, two = module.rank(tf.constant([["i6", "i7"]] * 6), **query)["play"].numpy().T
    assert not np.allclose(one, two)


def test_items_of_a_catalogue_are_told_apart_by_their_statistics(trained_ranking, make_catalogue, raw):
    items = make_catalogue({"item_id": "new a"}, {"item_id": "new b", "item_plays_7d": 5000.0})
    module = ServedRanking(trained_ranking.model, items, REWARD)
    query = {n: tf.constant(v) for n, v in raw.items()}
    one, two = module.rank(tf.constant([["new a", "new b"]] * 6), **query)["play"].numpy().T
    assert not np.allclose(one, two)


def test_the_card_says_what_the_model_is(saved_ranking, world):
    card = read_card(saved_ranking)
    assert (card["dataset"], card["reward"]) == ("checkerboard", REWARD)
    assert card["axes"] == world.encoder.axes.to_dict()

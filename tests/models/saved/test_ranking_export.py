"""The ranking SavedModel: its signatures and the scores of candidates."""

import numpy as np
import pytest
import tensorflow as tf

from events.schema import HEADS, TASKS
from models.inputs.axes import fit_axes
from models.inputs.encoder import Encoder
from models.inputs.raw_query import raw_item, raw_query
from models.inputs.signature_specs import item_specs, query_specs
from models.ranking.model import CHOICE, RankingModel
from models.saved.card import FORMAT, read_card
from models.saved.ranking_export import LIFT_FLOOR, ServedRanking
from models.saved.saved_model import call
from models.training_config import RankingConfig
from tests.models.conftest import REWARD

CANDIDATES = ["i5", "i0", "i13", "i8"]
SCORES = [0.5, 2.0, -1.0, 0.0]
OUTPUTS = (*TASKS, CHOICE, "reward")
DAY = 86_400


@pytest.fixture(scope="module")
def raw(world):
    """Six queries of the test span."""
    return raw_query(world.test.slice(0, 6), world.encoder.axes)


def rank(ranking_signatures, raw, *ids: str, scores=None) -> dict[str, np.ndarray]:
    """The scores of the same candidates for every query."""
    rows = len(raw["request_ts"])
    given = {
        "candidate_ids": np.array([ids] * rows, object),
        "retrieval_scores": np.array([[0.0] * len(ids) if scores is None else scores] * rows, np.float32),
        "sequence_scores": np.zeros((rows, len(ids)), np.float32),
    }
    return call(ranking_signatures["serving_default"], raw | given)


def contract(specs: dict) -> dict:
    """The names, types and shapes of a signature's inputs or outputs."""
    return {name: (spec.dtype, spec.shape.as_list()) for name, spec in specs.items()}


def test_the_serving_signature_takes_a_query_and_candidates(ranking_signatures, world):
    given = contract(ranking_signatures["serving_default"].structured_input_signature[1])
    assert given.pop("candidate_ids") == (tf.string, [None, None])
    assert given.pop("retrieval_scores") == given.pop("sequence_scores") == (tf.float32, [None, None])
    assert given == contract(query_specs(world.encoder.axes))
    answered = contract(ranking_signatures["serving_default"].structured_outputs)
    assert answered == dict.fromkeys([*OUTPUTS, "uncertainty"], (tf.float32, [None, None]))


def test_the_evaluation_signature_takes_a_query_an_item_and_their_affinity(ranking_signatures, world):
    given = contract(ranking_signatures["score"].structured_input_signature[1])
    assert given.pop("genre_affinity") == (tf.float32, [None])
    assert given == contract(query_specs(world.encoder.axes) | item_specs())
    answered = contract(ranking_signatures["score"].structured_outputs)
    assert answered == dict.fromkeys(OUTPUTS, (tf.float32, [None]))


def test_every_candidate_has_one_score(ranking_signatures, raw):
    for name, scores in rank(ranking_signatures, raw, *CANDIDATES).items():
        assert scores.shape == (6, 4), name
        assert np.isfinite(scores).all(), name


def test_heads_are_probabilities(ranking_signatures, raw):
    answer = rank(ranking_signatures, raw, *CANDIDATES)
    for head in HEADS:
        assert ((answer[head] > 0) & (answer[head] < 1)).all()


def test_the_reward_is_the_weighted_sum_of_the_outputs(ranking_signatures, raw):
    answer = rank(ranking_signatures, raw, *CANDIDATES, scores=SCORES)
    expected = sum(weight * answer[name] for name, weight in REWARD.items())
    np.testing.assert_allclose(answer["reward"], expected, rtol=1e-5)


def test_a_choice_head_that_was_not_fitted_keeps_retrievals_order(ranking_signatures, raw):
    # The logarithm of four times the softmax of the scores.
    shares = np.exp(SCORES) / np.exp(SCORES).sum()
    choice = rank(ranking_signatures, raw, *CANDIDATES, scores=SCORES)[CHOICE]
    np.testing.assert_allclose(choice, np.repeat([np.log(4 * shares)], 6, 0), rtol=1e-4, atol=1e-5)


def test_places_without_a_candidate_take_no_part_in_the_choice(ranking_signatures, raw):
    # A client may send minus infinity where retrieval ran out of candidates.
    alone = rank(ranking_signatures, raw, *CANDIDATES, scores=SCORES)
    padded = rank(ranking_signatures, raw, *CANDIDATES, "", "", scores=[*SCORES, -np.inf, 9.0])
    for name, values in padded.items():
        np.testing.assert_allclose(values[:, :4], alone[name], rtol=1e-4, atol=1e-5, err_msg=name)
    assert padded[CHOICE][:, 4:] == pytest.approx(np.log(LIFT_FLOOR))


@pytest.mark.parametrize("name", ["retrieval_scores", "sequence_scores"])
@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf], ids=str)
def test_a_score_that_is_no_number_counts_as_the_least_of_its_row(module, raw, name, broken):
    query = {key: tf.constant(value) for key, value in raw.items()}
    scores = {key: np.array([SCORES] * 6, np.float32) for key in ("retrieval_scores", "sequence_scores")}
    answers = []
    for value in (broken, -1.0):  # -1 is the least of SCORES
        scores[name][:, 0] = value
        answers.append(module.rank(tf.constant([CANDIDATES] * 6), **scores, **query))
    for output, values in answers[0].items():
        assert np.isfinite(values).all(), output
        np.testing.assert_array_equal(values, answers[1][output], err_msg=output)


@pytest.mark.parametrize("name", ["genre_shares", "content_type_shares", "user_plays_7d", "session_skips"])
@pytest.mark.parametrize("broken", [np.nan, np.inf, -1e30], ids=str)
def test_a_listeners_number_that_cannot_be_counts_as_unknown(module, raw, name, broken):
    scores = tf.constant([SCORES] * 6, tf.float32)
    answers = []
    for value in (broken, 0.0):
        query = {key: tf.constant(np.full_like(v, value) if key == name else v) for key, v in raw.items()}
        answers.append(module.rank(tf.constant([CANDIDATES] * 6), scores, scores, **query))
    for output, values in answers[0].items():
        assert np.isfinite(values).all(), output
        np.testing.assert_array_equal(values, answers[1][output], err_msg=output)


def test_a_row_without_any_number_is_answered(module, raw):
    query = {key: tf.constant(value) for key, value in raw.items()}
    nothing = tf.fill([6, 4], np.float32(np.nan))
    for name, values in module.rank(tf.constant([CANDIDATES] * 6), nothing, nothing, **query).items():
        assert np.isfinite(values).all(), name


@pytest.mark.parametrize("name", ["history_items", "history_actions", "history_times"])
def test_histories_of_unequal_length_are_refused(ranking_signatures, raw, name):
    with pytest.raises(tf.errors.InvalidArgumentError, match="must have the same number of entries"):
        rank(ranking_signatures, raw | {name: raw[name][:, :-1]}, *CANDIDATES)


def test_a_request_without_candidates_is_answered(ranking_signatures, raw):
    for name, values in rank(ranking_signatures, raw, "", "", scores=[-np.inf] * 2).items():
        assert np.isfinite(values).all(), name


def test_permuting_candidates_permutes_scores(ranking_signatures, raw):
    order = [2, 0, 3, 1]
    straight = rank(ranking_signatures, raw, *CANDIDATES, scores=SCORES)
    permuted = rank(ranking_signatures, raw, *(CANDIDATES[n] for n in order), scores=[SCORES[n] for n in order])
    for name, scores in straight.items():
        np.testing.assert_allclose(permuted[name], scores[:, order], rtol=1e-4, atol=1e-6, err_msg=name)


def test_a_head_does_not_depend_on_the_other_candidates(ranking_signatures, raw):
    alone, among = rank(ranking_signatures, raw, "i13"), rank(ranking_signatures, raw, *CANDIDATES)
    np.testing.assert_allclose(alone["play"][:, 0], among["play"][:, 2], rtol=1e-5)


@pytest.mark.parametrize("unknown", ["never seen", ""])
def test_unknown_candidates_have_finite_scores(ranking_signatures, raw, unknown):
    for name, scores in rank(ranking_signatures, raw, unknown, "i0").items():
        assert np.isfinite(scores).all(), name


def test_all_unknown_candidates_have_the_same_scores(ranking_signatures, raw):
    answer = rank(ranking_signatures, raw, "never seen", "", "unheard of")
    for head in HEADS:
        np.testing.assert_allclose(answer[head], np.repeat(answer[head][:, :1], 3, 1), rtol=1e-5)


@pytest.fixture(scope="module")
def varied(make_catalogue, noon):
    """Items with different statistics, some of them unknown; training never saw `brand new`."""
    now = int(noon.timestamp())
    return make_catalogue(
        {"item_id": "i5", "item_plays_7d": 30.0, "release_ts": now - 3 * DAY, "genre_weights": [1.0, 0.0]},
        {"item_id": "i0", "item_plays_7d": None, "item_plays_28d": None, "item_trend": None, "release_ts": 0},
        {"item_id": "brand new", "creator_id": "stranger", "genre_weights": [0.0, 1.0], "release_ts": now + DAY},
        {"item_id": "much played", "item_plays_7d": 5000.0, "item_plays_28d": 24.0},
        {"item_id": "little played", "item_plays_7d": 0.0, "item_plays_28d": 24.0},
    )


@pytest.fixture(scope="module")
def module(world, varied) -> ServedRanking:
    """An untrained model of that catalogue; the tests that use it do not depend on its weights."""
    encoder = Encoder(fit_axes([world.train]), varied)
    tf.keras.utils.set_random_seed(0)
    model = RankingModel(encoder, RankingConfig(dim=8))
    encoded = encoder.query_table(world.test) | encoder.item_table(world.test)
    model(encoded | {"request": np.zeros((world.test.num_rows, 3), np.float32)})
    return ServedRanking(model, varied, REWARD)


def ranked(module: ServedRanking, raw, ids: list[str]) -> dict[str, np.ndarray]:
    """The answers of a module to the same candidates for every query."""
    query = {name: tf.constant(value) for name, value in raw.items()}
    nothing = tf.zeros([6, len(ids)])
    answer = module.rank(tf.constant([ids] * 6), nothing, nothing, **query)
    return {name: value.numpy() for name, value in answer.items()}


def test_candidate_ids_have_the_scores_of_the_same_items_with_explicit_features(module, varied, raw):
    taste = {"genre_shares": np.array([[0.75, 0.25]] * 6, np.float32)}
    query = {n: tf.constant(v) for n, v in (raw | taste).items()}
    answer = ranked(module, raw | taste, varied["item_id"].to_pylist())
    # Affinity is shares times weights. Age is in days since the release, 0 before it, -1 if it is unknown.
    affinity = {"i5": 0.75, "i0": 0.5, "brand new": 0.25}
    minutes = np.arange(6, dtype=np.float32) / (24 * 60)  # the queries are a minute apart
    age = {"i5": 3 + minutes, "i0": np.full(6, -1.0), "brand new": np.zeros(6)}
    for n, item in enumerate(affinity):
        features = {k: tf.constant(np.repeat(v[n : n + 1], 6, 0)) for k, v in raw_item(varied).items()}
        features["age_at_request_days"] = tf.constant(age[item].astype(np.float32))
        scored = module.score(tf.constant([affinity[item]] * 6), **query, **features)
        for name in TASKS:
            np.testing.assert_allclose(answer[name][:, n], scored[name], rtol=1e-4, err_msg=f"{item} {name}")


def test_items_with_other_statistics_have_other_scores(module, raw):
    much_played, little_played = ranked(module, raw, ["much played", "little played"])["play"].T
    assert not np.allclose(much_played, little_played)


def test_items_with_fewer_plays_are_more_uncertain(module, raw):
    # 1 / sqrt(1 + plays): 24 plays in 28 days, unknown plays, an unknown item.
    uncertainty = ranked(module, raw, ["much played", "i0", "never seen"])["uncertainty"]
    np.testing.assert_allclose(uncertainty, [[1 / 5, 1, 1]] * 6, rtol=1e-6)


def test_the_card_states_lineage_reward_format_and_axes(saved_ranking, world):
    card = read_card(saved_ranking)
    assert (card["dataset"], card["reward"], card["format"]) == ("checkerboard", REWARD, FORMAT)
    assert card["axes"] == world.encoder.axes.to_dict()

"""The choice head: it starts from retrieval's order and learns corrections."""

import numpy as np
import pytest
import tensorflow as tf

from models.ranking.choice import MIN_LISTS, OWN, ChoiceHead, candidate_features, fit_choice

LISTS, CANDIDATES, WIDTH = 400, 8, 4


@pytest.fixture
def head() -> ChoiceHead:
    """An unfitted head."""
    tf.keras.utils.set_random_seed(0)
    layer = ChoiceHead(WIDTH)
    layer(tf.zeros([1, 1, WIDTH]))
    return layer


def lists(count: int, rule: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw lists of four to eight candidates, and the choice by `score + rule * third feature` plus Gumbel noise."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, CANDIDATES, WIDTH)).astype(np.float32)
    present = np.arange(CANDIDATES) < rng.integers(4, CANDIDATES + 1, count)[:, None]
    utility = features[..., 0] + rule * features[..., 2] + rng.gumbel(size=(count, CANDIDATES))
    return features, present, np.where(present, utility, -np.inf).argmax(axis=1)


def cross_entropy(logits: np.ndarray, present: np.ndarray, chosen: np.ndarray) -> float:
    """The cross-entropy of the choices in nats."""
    shares = np.where(present, np.exp(logits), 0)
    return float(-np.log(shares[np.arange(len(chosen)), chosen] / shares.sum(axis=1)).mean())


def test_an_unfitted_head_returns_retrievals_scores(head):
    features = np.random.default_rng(0).normal(size=(3, 5, WIDTH)).astype(np.float32)
    np.testing.assert_array_equal(head(features), features[..., 0])


def test_features_of_candidates_by_hand():
    # The listener heard item 7 one and three hours ago, and item 9 just now. Row 0 is padding in both arguments.
    features = candidate_features(
        retrieval_scores=tf.constant([[2.0, 0.5, 3.0, 1.0]]),
        sequence_scores=tf.constant([[-1.0, -4.0, -4.0, -4.0]]),
        rows=tf.constant([[7, 8, 9, 0]]),
        stats=tf.fill([1, 4, 7], 5.0),
        history=tf.constant([[9, 7, 7, 0]]),
        age=tf.math.log1p(tf.constant([[0.0, 1.0, 3.0, 0.0]])),
        others=tf.fill([1, 4, 2], 6.0),
    ).numpy()[0]
    an_hour = 1 / (1 + np.log(2))
    # Columns: score, score minus the best score, both for the sequence model, log(1 + times heard), recency, heard.
    assert features[:, :OWN] == pytest.approx(
        np.array([
            [2, -1, -1, 0, np.log(3), an_hour, 1],
            [0.5, -2.5, -4, -3, 0, 0, 0],
            [3, 0, -4, -3, np.log(2), 1, 1],
            [1, -2, -4, -3, 0, 0, 0],
        ]),
        rel=1e-5,
    )  # fmt: skip
    assert (features[:, OWN : OWN + 7] == 5).all()
    assert (features[:, OWN + 7 :] == 6).all()
    assert features.shape == (4, OWN + 9)


def test_a_planted_rule_is_learned(head):
    features, present, chosen = lists(LISTS, rule=2.0)
    fitted = fit_choice(head, features, present, chosen, seed=0)
    assert fitted["lists"] == LISTS
    assert fitted["after"] < fitted["before"] - 0.3
    # On other lists the head is nearly as good as the rule, beside which only noise is left.
    later = lists(500, rule=2.0, seed=1)
    by_rule = cross_entropy(later[0][..., 0] + 2.0 * later[0][..., 2], *later[1:])
    assert cross_entropy(head(later[0]).numpy(), *later[1:]) < by_rule + 0.1


@pytest.mark.parametrize("rule", [0.0, 2.0])
def test_the_head_is_never_worse_than_retrieval_on_held_out_lists(head, rule):
    features, present, chosen = lists(120, rule)
    fitted = fit_choice(head, features, present, chosen, seed=0)
    held_out = slice(90, None)  # the latest quarter
    own, retrieval = (
        cross_entropy(logits[held_out], present[held_out], chosen[held_out])
        for logits in (head(features).numpy(), features[..., 0])
    )
    assert fitted["before"] == pytest.approx(retrieval, rel=1e-4)
    assert fitted["after"] == pytest.approx(own, rel=1e-4)
    assert own <= retrieval + 1e-6


def test_the_head_is_not_fitted_on_few_lists(head):
    features, present, chosen = lists(MIN_LISTS - 1, rule=2.0)
    before = head.get_weights()
    assert fit_choice(head, features, present, chosen, seed=0) == {"lists": MIN_LISTS - 1}
    for expected, weights in zip(before, head.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, expected)


def test_a_restarted_head_returns_retrievals_scores(head):
    features, present, chosen = lists(MIN_LISTS, rule=2.0)
    fit_choice(head, features, present, chosen, seed=0)
    assert not np.allclose(head(features), features[..., 0])
    head.restart()
    np.testing.assert_array_equal(head(features), features[..., 0])


def test_features_of_empty_places_do_not_count(head):
    features, present, chosen = lists(MIN_LISTS, rule=2.0)
    fitted = fit_choice(head, features, present, chosen, seed=0)
    tf.keras.utils.set_random_seed(0)
    other = ChoiceHead(WIDTH)
    other(tf.zeros([1, 1, WIDTH]))
    assert fit_choice(other, np.where(present[..., None], features, 99.0), present, chosen, seed=0) == fitted


def test_a_constant_feature_gives_finite_logits(head):
    features, present, chosen = lists(MIN_LISTS, rule=2.0)
    features[..., 3] = 7.0
    fit_choice(head, features, present, chosen, seed=0)
    assert np.isfinite(head(features)).all()

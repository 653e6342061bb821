"""Which candidate plays next: retrieval's order, and what a head learns beyond it."""

import numpy as np
import pytest
import tensorflow as tf

from models.ranking.choice import FEWEST, OWN, ChoiceHead, candidate_figures, fit_choice

LISTS, CANDIDATES, WIDTH = 400, 8, 4


@pytest.fixture
def head() -> ChoiceHead:
    """A head as it begins."""
    tf.keras.utils.set_random_seed(0)
    layer = ChoiceHead(WIDTH)
    layer(tf.zeros([1, 1, WIDTH]))
    return layer


def lists(count: int, rule: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lists of four to eight candidates, and which was chosen: by `score + rule * third figure` and chance."""
    rng = np.random.default_rng(seed)
    figures = rng.normal(size=(count, CANDIDATES, WIDTH)).astype(np.float32)
    present = np.arange(CANDIDATES) < rng.integers(4, CANDIDATES + 1, count)[:, None]
    liking = figures[..., 0] + rule * figures[..., 2] + rng.gumbel(size=(count, CANDIDATES))
    return figures, present, np.where(present, liking, -np.inf).argmax(axis=1)


def surprise(logits: np.ndarray, present: np.ndarray, chosen: np.ndarray) -> float:
    """Cross-entropy of what was chosen, in nats."""
    shares = np.where(present, np.exp(logits), 0)
    return float(-np.log(shares[np.arange(len(chosen)), chosen] / shares.sum(axis=1)).mean())


def test_it_begins_as_retrievals_scores(head):
    figures = np.random.default_rng(0).normal(size=(3, 5, WIDTH)).astype(np.float32)
    np.testing.assert_array_equal(head(figures), figures[..., 0])


def test_figures_of_candidates():
    # The listener heard item 7 an hour and three hours ago, item 9 just now; 0 is no item, in either place.
    figures = candidate_figures(
        scores=tf.constant([[2.0, 0.5, 3.0, 1.0]]),
        following=tf.constant([[-1.0, -4.0, -4.0, -4.0]]),
        rows=tf.constant([[7, 8, 9, 0]]),
        stats=tf.fill([1, 4, 7], 5.0),
        history=tf.constant([[9, 7, 7, 0]]),
        age=tf.math.log1p(tf.constant([[0.0, 1.0, 3.0, 0.0]])),
        logits=tf.fill([1, 4, 2], 6.0),
    ).numpy()[0]
    an_hour = 1 / (1 + np.log(2))
    # Score, score less the best, the same of the sequence model, log(1 + times heard), how lately, whether at all.
    assert figures[:, :OWN] == pytest.approx(
        np.array([
            [2, -1, -1, 0, np.log(3), an_hour, 1],
            [0.5, -2.5, -4, -3, 0, 0, 0],
            [3, 0, -4, -3, np.log(2), 1, 1],
            [1, -2, -4, -3, 0, 0, 0],
        ]),
        rel=1e-5,
    )  # fmt: skip
    assert (figures[:, OWN : OWN + 7] == 5).all()
    assert (figures[:, OWN + 7 :] == 6).all()
    assert figures.shape == (4, OWN + 9)


def test_a_planted_rule_is_learned(head):
    figures, present, chosen = lists(LISTS, rule=2.0)
    found = fit_choice(head, figures, present, chosen, seed=0)
    assert found["lists"] == LISTS
    assert found["after"] < found["before"] - 0.3
    # On lists of later time the head is near the rule itself, which leaves chance alone.
    later = lists(500, rule=2.0, seed=1)
    by_rule = surprise(later[0][..., 0] + 2.0 * later[0][..., 2], *later[1:])
    assert surprise(head(later[0]).numpy(), *later[1:]) < by_rule + 0.1


@pytest.mark.parametrize("rule", [0.0, 2.0])
def test_held_out_it_is_never_worse_than_retrieval(head, rule):
    figures, present, chosen = lists(120, rule)
    found = fit_choice(head, figures, present, chosen, seed=0)
    held_out = slice(90, None)  # the latest quarter
    own, retrieval = (
        surprise(logits[held_out], present[held_out], chosen[held_out])
        for logits in (head(figures).numpy(), figures[..., 0])
    )
    assert found["before"] == pytest.approx(retrieval, rel=1e-4)
    assert found["after"] == pytest.approx(own, rel=1e-4)
    assert own <= retrieval + 1e-6


def test_few_lists_leave_it_as_it_is(head):
    figures, present, chosen = lists(FEWEST - 1, rule=2.0)
    before = head.get_weights()
    assert fit_choice(head, figures, present, chosen, seed=0) == {"lists": FEWEST - 1}
    for one, two in zip(before, head.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_restart_forgets_what_was_fitted(head):
    figures, present, chosen = lists(FEWEST, rule=2.0)
    fit_choice(head, figures, present, chosen, seed=0)
    assert not np.allclose(head(figures), figures[..., 0])
    head.restart()
    np.testing.assert_array_equal(head(figures), figures[..., 0])


def test_figures_of_no_candidate_do_not_count(head):
    figures, present, chosen = lists(FEWEST, rule=2.0)
    found = fit_choice(head, figures, present, chosen, seed=0)
    tf.keras.utils.set_random_seed(0)
    other = ChoiceHead(WIDTH)
    other(tf.zeros([1, 1, WIDTH]))
    assert fit_choice(other, np.where(present[..., None], figures, 99.0), present, chosen, seed=0) == found


def test_a_constant_figure_is_no_division_by_zero(head):
    figures, present, chosen = lists(FEWEST, rule=2.0)
    figures[..., 3] = 7.0
    fit_choice(head, figures, present, chosen, seed=0)
    assert np.isfinite(head(figures)).all()

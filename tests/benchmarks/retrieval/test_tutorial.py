"""The tutorial's model learns a checkerboard."""

import numpy as np
import pytest

from benchmarks.retrieval import tutorial as retrieval_tutorial

USERS, ITEMS, BATCH = 40, 20, 128


@pytest.fixture(scope="module")
def pairs() -> tuple[np.ndarray, np.ndarray]:
    """Even listeners touch even items, odd ones odd items; 20 times each, since three epochs have to do."""
    pairs = [(f"u{user}", f"i{item}") for user in range(USERS) for item in range(ITEMS) if user % 2 == item % 2]
    users, items = (np.array(column) for column in zip(*pairs * 20, strict=True))
    return users, items


@pytest.fixture(scope="module", autouse=True)
def small_steps():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval_tutorial, "BATCH", BATCH)
        yield


@pytest.fixture(scope="module")
def trained(pairs):
    return retrieval_tutorial.train(*pairs, np.array([f"i{item}" for item in range(ITEMS)]), seed=0)


def test_it_learns_who_touches_what(trained):
    scores = trained.model.score(
        np.array([f"u{user}" for user in range(USERS)]), np.array([f"i{item}" for item in range(ITEMS)])
    )
    same = (np.arange(USERS)[:, None] + np.arange(ITEMS)[None, :]) % 2 == 0
    assert scores[same].mean() > scores[~same].mean() + 1
    best = np.argsort(-scores, axis=1)[:, :5]
    assert np.take_along_axis(same, best, axis=1).mean() > 0.9


def test_unknown_listeners_share_a_vector(trained):
    known, first, second = trained.model.score(np.array(["u0", "who", "else"]), np.array(["i0", "i1"]))
    np.testing.assert_array_equal(first, second)
    assert (known != first).any()


def test_it_counts_its_steps(trained, pairs):
    assert trained.steps == retrieval_tutorial.EPOCHS * -(-len(pairs[0]) // BATCH)
    assert 0 < trained.steps_with_metrics <= trained.steps
    assert trained.seconds > 0


def test_metrics_stop_when_they_take_long_and_no_weight_depends_on_it(trained, pairs, monkeypatch):
    monkeypatch.setattr(retrieval_tutorial, "PATIENCE", 0.0)
    again = retrieval_tutorial.train(*pairs, np.array([f"i{item}" for item in range(ITEMS)]), seed=0)
    assert again.steps_with_metrics == retrieval_tutorial.MEASURED < trained.steps_with_metrics
    ids = np.array(["u0", "u1"]), np.array(["i0", "i1"])
    np.testing.assert_allclose(again.model.score(*ids), trained.model.score(*ids), atol=1e-5)

"""The tutorial's model learns a checkerboard, in which even listeners choose even items and odd listeners odd items."""

import numpy as np
import pytest

from benchmarks.retrieval import tutorial

pytestmark = pytest.mark.slow  # the tutorial is trained, which takes 14 s

USERS, ITEMS, BATCH = 40, 20, 128


@pytest.fixture(scope="module")
def pairs() -> tuple[np.ndarray, np.ndarray]:
    """Listeners and items of the checkerboard, each pair 20 times because training has only three epochs."""
    pairs = [(f"u{user}", f"i{item}") for user in range(USERS) for item in range(ITEMS) if user % 2 == item % 2]
    users, items = (np.array(column) for column in zip(*pairs * 20, strict=True))
    return users, items


@pytest.fixture(scope="module", autouse=True)
def small_steps():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tutorial, "BATCH", BATCH)
        yield


@pytest.fixture(scope="module")
def trained(pairs):
    return tutorial.train(*pairs, np.array([f"i{item}" for item in range(ITEMS)]), seed=0)


def test_it_learns_which_items_a_listener_chooses(trained):
    scores = trained.model.score(
        np.array([f"u{user}" for user in range(USERS)]), np.array([f"i{item}" for item in range(ITEMS)])
    )
    same = (np.arange(USERS)[:, None] + np.arange(ITEMS)[None, :]) % 2 == 0
    assert scores[same].mean() > scores[~same].mean() + 1
    best = np.argsort(-scores, axis=1)[:, :5]
    assert np.take_along_axis(same, best, axis=1).mean() > 0.9


def test_unknown_listeners_share_an_embedding(trained):
    known, first, second = trained.model.score(np.array(["u0", "who", "else"]), np.array(["i0", "i1"]))
    np.testing.assert_array_equal(first, second)
    assert (known != first).any()


def test_it_counts_its_steps(trained, pairs):
    assert trained.steps == tutorial.EPOCHS * -(-len(pairs[0]) // BATCH)
    assert 0 < trained.steps_with_metrics <= trained.steps
    assert trained.seconds > 0


def test_metrics_stop_after_the_limit_and_weights_do_not_depend_on_them(trained, pairs, monkeypatch):
    monkeypatch.setattr(tutorial, "PATIENCE", 0.0)
    again = tutorial.train(*pairs, np.array([f"i{item}" for item in range(ITEMS)]), seed=0)
    assert again.steps_with_metrics == tutorial.MEASURED < trained.steps_with_metrics
    ids = np.array(["u0", "u1"]), np.array(["i0", "i1"])
    np.testing.assert_allclose(again.model.score(*ids), trained.model.score(*ids), atol=1e-5)

"""Models on a world with an obvious answer: listeners of even taste like even items."""

import numpy as np
import pytest

from models.evaluation.held_out import popularity, ranking_metrics, retrieval_metrics, retrieval_ranks


@pytest.fixture(scope="module")
def positives(world):
    """Held-out positives; ten of the twenty items match each listener."""
    return world.test.filter(world.test["positive"])


def test_popularity_finds_half_of_the_matches(world, positives):
    # All items are equally popular, so the ten most popular items hold half of the liked items.
    ranks = retrieval_ranks(None, positives, world.items, popularity(world.train, world.items), False)
    assert retrieval_metrics(ranks)["recall_at_10"] == pytest.approx(0.5, abs=0.12)


def test_retrieval_finds_nearly_all(saved_retrieval, world, positives):
    ranks = retrieval_ranks(saved_retrieval, positives, world.items, np.zeros(20), False)
    assert retrieval_metrics(ranks)["recall_at_10"] > 0.85


@pytest.fixture(scope="module")
def heads(predictions, world):
    """Held-out metrics by head."""
    return ranking_metrics(predictions, world.test)


@pytest.mark.parametrize("head", ["play", "skip", "like"])
def test_ranking_separates_matching_items_from_others(heads, head):
    assert heads[head]["auc"] > 0.8
    assert heads[head]["log_loss"] < np.log(2)  # the loss of a constant 0.5

"""Off-policy estimates of lists from logged impressions, by hand and against a known truth."""

import numpy as np
import pytest

from models.evaluation.off_policy import estimates

USERS = np.array(["u", "u", "v", "v"])


def test_the_estimates_by_hand():
    # The list holds the items of the first and the last impression: weights (1/10) / (1/2), 0, 0, (1/10) / (1/10).
    found = estimates(
        np.array([1.0, 5.0, 5.0, 2.0]), np.array([0.5, 0.5, 0.5, 0.1]), {"a": np.array([0, 10, 99, 9])}, USERS, 0
    )
    assert found["impressions"] == 4
    assert found["logged"]["mean"] == 3.25
    assert found["policies"]["a"]["ips"]["value"] == pytest.approx((0.2 * 1 + 1.0 * 2) / 4)
    assert found["policies"]["a"]["snips"]["value"] == pytest.approx((0.2 * 1 + 1.0 * 2) / 1.2)


def test_a_list_that_the_log_never_shows_has_no_estimate():
    found = estimates(np.ones(4), np.full(4, 0.5), {"a": np.full(4, 10), "b": np.zeros(4)}, USERS, 0)
    assert set(found["policies"]) == {"b"}


def test_the_estimates_find_the_value_of_another_policy():
    """40 items, shown by a skewed policy; item i is worth i / 40, and the list holds the last ten: worth 0.8625."""
    rng = np.random.default_rng(0)
    chances = np.linspace(3, 1, 40)
    chances /= chances.sum()
    item = rng.choice(40, 20_000, p=chances)
    rewards = (rng.random(len(item)) < item / 40).astype(float)
    users = rng.integers(500, size=len(item))
    ranks = {"last": 39 - item}
    found = estimates(rewards, chances[item], ranks, users, 0)
    for name in ("ips", "snips"):
        assert found["policies"]["last"][name]["low"] < 0.8625 < found["policies"]["last"][name]["high"]
        assert found["policies"]["last"][name]["high"] - found["policies"]["last"][name]["low"] < 0.1
    assert found["logged"]["mean"] < 0.6

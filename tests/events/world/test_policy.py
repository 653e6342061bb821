"""The logging policy: the recorded propensity is the probability of the draw."""

import numpy as np
import pytest

from events.importers.synthetic import SIZES
from events.world import catalogue, listeners
from events.world.policy import LONGEST, Policy, Requests
from events.world.shelves import GENRE_SHELVES, stock

DRAWS = 40_000


@pytest.fixture(scope="module")
def policy() -> Policy:
    _, items = catalogue.build(SIZES["nano"], seed=0)
    shelves = stock(items, 0)
    _, tastes = listeners.build(SIZES["nano"], 0, items, shelves)
    return Policy.of(shelves, tastes)


def repeated_request(count: int, searched: int = -1, at_library: bool = False) -> Requests:
    """Return the same request of listener 0, `count` times."""
    return Requests(np.zeros(count, int), np.full(count, LONGEST), np.full(count, searched), np.full(count, at_library))


def library() -> np.ndarray:
    """Return the library of listener 0, with item 0 once and item 1 twice: `[1, 4]`."""
    return np.array([[0, 1, 1, -1]])


REQUESTS = [
    pytest.param({}, id="taste"),
    pytest.param({"at_library": True}, id="library"),
    pytest.param({"searched": "genre"}, id="genre"),
    pytest.param({"searched": "creator"}, id="creator"),
]


def with_shelf(policy: Policy, request: dict) -> dict:
    """Return the request with `searched` replaced by a shelf of that kind that is not empty."""
    shelves = policy.shelves
    first = {"genre": np.flatnonzero(shelves.weight[:GENRE_SHELVES])[0],
             "creator": GENRE_SHELVES + shelves.catalogue.creator[0]}  # fmt: skip
    return {**request, **({"searched": first[request["searched"]]} if "searched" in request else {})}


@pytest.mark.parametrize("request_", REQUESTS)
def test_the_probabilities_of_all_items_sum_to_one(policy, request_):
    items = np.arange(len(policy.shelves.catalogue))
    released = items[policy.shelves.popularity > 0]
    requests = repeated_request(len(released), **with_shelf(policy, request_))
    chance = policy.chance(requests, library(), np.arange(len(released)), released)
    assert chance.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("request_", REQUESTS)
def test_items_are_drawn_as_often_as_their_probability_says(policy, request_):
    requests = repeated_request(DRAWS, **with_shelf(policy, request_))
    rows = np.arange(DRAWS)
    drawn = policy.draw(np.random.default_rng(0), requests, library(), rows)
    frequency = np.bincount(drawn, minlength=len(policy.shelves.catalogue)) / DRAWS
    released = np.flatnonzero(policy.shelves.popularity > 0)
    chance = policy.chance(requests, library(), released, released)
    # Four standard errors of a share estimated from DRAWS draws.
    error = 4 * np.sqrt(chance * (1 - chance) / DRAWS) + 1e-4
    assert (np.abs(frequency[released] - chance) < error).all()
    assert frequency[policy.shelves.popularity == 0].sum() == 0


def test_a_propensity_is_conditional_on_the_items_above(policy):
    items, propensity = policy.slates(np.random.default_rng(0), repeated_request(50), library())
    rows = np.arange(50)
    first, second = (policy.chance(repeated_request(50), library(), rows, items[:, column]) for column in (0, 1))
    np.testing.assert_allclose(propensity[:, 0], first)
    np.testing.assert_allclose(propensity[:, 1], second / (1 - first))
    assert all(len(set(slate)) == LONGEST for slate in items.tolist())


def test_the_inverse_propensity_estimate_of_the_uniform_policy_is_unbiased(policy):
    # The uniform policy shows each of the n released items at the first position with probability 1/n. Let an item be
    # worth 1 if its number is even, else 0. The true value is then the share of even numbers.
    items, propensity = policy.slates(np.random.default_rng(1), repeated_request(DRAWS), library())
    released = policy.shelves.released
    value = (items[:, 0] % 2 == 0).astype(float)
    estimate = np.mean(value / len(released) / propensity[:, 0])
    assert estimate == pytest.approx((released % 2 == 0).mean(), abs=0.03)

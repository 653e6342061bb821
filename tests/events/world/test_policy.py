"""The logging policy: the recorded propensity is the chance of the draw."""

import numpy as np
import pytest

from events.importers.synthetic import SIZES
from events.world import catalogue as catalogues
from events.world import listeners as people
from events.world.policy import LONGEST, Policy, Requests
from events.world.shelves import GENRE_SHELVES, stock

DRAWS = 40_000


@pytest.fixture(scope="module")
def policy() -> Policy:
    _, catalogue = catalogues.build(SIZES["nano"], seed=0)
    shelves = stock(catalogue, 0)
    return Policy.of(shelves, people.build(SIZES["nano"], 0, catalogue, shelves)[1])


def asked(count: int, searched: int = -1, at_library: bool = False) -> Requests:
    """The same request of listener 0, many times."""
    return Requests(np.zeros(count, int), np.full(count, LONGEST), np.full(count, searched), np.full(count, at_library))


def library() -> np.ndarray:
    """Listener 0 keeps the items 0, 1 and 1 again: `[1, 4]`."""
    return np.array([[0, 1, 1, -1]])


REQUESTS = [
    pytest.param({}, id="taste"),
    pytest.param({"at_library": True}, id="library"),
    pytest.param({"searched": "genre"}, id="genre"),
    pytest.param({"searched": "creator"}, id="creator"),
]


def resolve(policy: Policy, request: dict) -> dict:
    """Name a shelf that has something on it."""
    shelves = policy.shelves
    first = {"genre": np.flatnonzero(shelves.weight[:GENRE_SHELVES])[0],
             "creator": GENRE_SHELVES + shelves.catalogue.creator[0]}  # fmt: skip
    return {**request, **({"searched": first[request["searched"]]} if "searched" in request else {})}


@pytest.mark.parametrize("request_", REQUESTS)
def test_the_chances_of_all_items_sum_to_one(policy, request_):
    items = np.arange(len(policy.shelves.catalogue))
    released = items[policy.shelves.popular > 0]
    requests = asked(len(released), **resolve(policy, request_))
    chance = policy.chance(requests, library(), np.arange(len(released)), released)
    assert chance.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("request_", REQUESTS)
def test_items_are_drawn_as_often_as_their_chance_says(policy, request_):
    requests = asked(DRAWS, **resolve(policy, request_))
    rows = np.arange(DRAWS)
    drawn = policy.draw(np.random.default_rng(0), requests, library(), rows)
    frequency = np.bincount(drawn, minlength=len(policy.shelves.catalogue)) / DRAWS
    released = np.flatnonzero(policy.shelves.popular > 0)
    chance = policy.chance(requests, library(), released, released)
    # Four standard errors of a share estimated from so many draws.
    error = 4 * np.sqrt(chance * (1 - chance) / DRAWS) + 1e-4
    assert (np.abs(frequency[released] - chance) < error).all()
    assert frequency[policy.shelves.popular == 0].sum() == 0


def test_a_propensity_is_the_chance_given_what_stands_above(policy):
    items, propensity = policy.slates(np.random.default_rng(0), asked(50), library())
    rows = np.arange(50)
    first, second = (policy.chance(asked(50), library(), rows, items[:, column]) for column in (0, 1))
    np.testing.assert_allclose(propensity[:, 0], first)
    np.testing.assert_allclose(propensity[:, 1], second / (1 - first))
    assert all(len(set(slate)) == LONGEST for slate in items.tolist())


def test_the_inverse_propensity_estimate_of_the_uniform_policy_is_unbiased(policy):
    # Under the uniform policy each of the n released items is at the first position with 1/n. An
    # item's value is whether its number is even, so the true mean is the share of even numbers.
    items, propensity = policy.slates(np.random.default_rng(1), asked(DRAWS), library())
    released = policy.shelves.released
    value = (items[:, 0] % 2 == 0).astype(float)
    estimate = np.mean(value / len(released) / propensity[:, 0])
    assert estimate == pytest.approx((released % 2 == 0).mean(), abs=0.03)

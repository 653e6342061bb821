"""The true value of a policy, compared with simulations and with estimates from a log."""

from dataclasses import replace

import numpy as np
import pytest

from events.world import catalogue, listeners, truth
from events.world.behaviour import respond, utility
from events.world.config import WorldConfig
from events.world.day import IMPRESSION, LIBRARY, PLAY, SEARCH, search, simulate, visits
from events.world.policy import Mixture, Policy, Requests
from events.world.shelves import stock
from segue.errors import InputError

WORLD = WorldConfig("tiny", users=40, items=120, days=14, sessions=1.0)
PERSONAL = Mixture(uniform=0.05, popular=0.05, personal=0.9)
DAYS = range(2)


@pytest.fixture(scope="module")
def population_and_policy() -> tuple[listeners.Listeners, Policy]:
    _, items = catalogue.build(WORLD, seed=0)
    shelves = stock(items, 0)
    population, tastes = listeners.build(WORLD, 0, items, shelves)
    return population, Policy.of(shelves, tastes)


@pytest.fixture(scope="module")
def library() -> np.ndarray:
    """Each library has item 0 once and item 1 twice; that of listener 0 is empty."""
    items = np.tile([0, 1, 1, -1], (WORLD.users, 1))
    items[0] = -1
    return items


def test_the_shares_of_the_openings_sum_to_one(population_and_policy):
    population, policy = population_and_policy
    requests, shares = truth.openings(policy, population, DAYS)
    assert shares.sum() == pytest.approx(1)
    assert shares[requests.searched >= 0].sum() == pytest.approx(0.15)
    assert shares[requests.at_library].sum() == pytest.approx(0.15)


def test_listeners_who_have_not_signed_up_begin_no_session(population_and_policy):
    population, policy = population_and_policy
    late = replace(population, signup=np.where(np.arange(WORLD.users) == 3, 9, -1))
    assert 3 not in truth.openings(policy, late, DAYS)[0].user
    assert 3 in truth.openings(policy, late, range(9, 10))[0].user


def test_the_item_probabilities_of_each_context_sum_to_one(population_and_policy, library):
    population, policy = population_and_policy
    requests, _ = truth.openings(policy, population, DAYS)
    chances = truth.item_chances(replace(policy, mixture=PERSONAL), requests, library)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert chances.shape[1] == len(policy.shelves.released)


def test_the_value_of_a_policy_that_always_shows_the_same_item_per_context():
    # The item shown is played with probability 0.8 and 0.4: 0.25 * 0.8 + 0.75 * 0.4 = 0.5.
    chances = np.array([[1.0, 0.0], [0.0, 1.0]])
    plays = np.array([[0.8, 0.1], [0.9, 0.4]])
    assert truth.value(np.array([0.25, 0.75]), chances, plays) == pytest.approx(0.5)


@pytest.mark.parametrize("mixture", [Mixture(), PERSONAL], ids=["logging", "personal"])
def test_the_value_is_the_share_of_play_throughs_when_the_policy_is_simulated(population_and_policy, library, mixture):
    population, policy = population_and_policy
    requests, shares = truth.openings(policy, population, DAYS)
    target = replace(policy, mixture=mixture)
    value = truth.value(shares, truth.item_chances(target, requests, library), truth.play_chances(policy, requests))
    rng = np.random.default_rng(0)
    visited = [visits(rng, day, population) for _ in range(500) for day in DAYS]
    user, surface = (np.concatenate([visit[part] for visit in visited]) for part in (0, 2))
    searched, _ = search(rng, policy, user, surface == SEARCH)
    first_slates = Requests(user, np.ones(len(user), int), searched, surface == LIBRARY)
    item = target.slates(rng, first_slates, library)[0][:, 0]
    duration = policy.shelves.catalogue.duration_ms[item]
    responses = respond(WORLD, rng, 0, np.ones(len(item)), utility(policy, user, item), duration)
    rewards = responses.played & (responses.ms >= 30_000)
    # Four standard errors of a share of about 40,000 sessions are 0.01. The values of the two policies differ by more.
    assert rewards.mean() == pytest.approx(value, abs=4 * 0.5 / np.sqrt(len(user)))


@pytest.mark.slow
def test_the_log_of_a_day_estimates_the_value_of_another_policy_without_bias(population_and_policy):
    # Only impressions and plays of `home` and `now_playing` are used, because there the context is the listener alone.
    population, policy = population_and_policy
    empty = np.full((WORLD.users, 16), -1)
    logs = [simulate(WORLD, np.random.default_rng(n), 0, population, policy, empty.copy()) for n in range(100)]
    weighted, true = [], []
    for rows in logs:
        shown = rows.take((rows.action == IMPRESSION) & (rows.position == 1) & np.isin(rows.surface, [0, 1]))
        plays = rows.take((rows.action == PLAY) & (rows.position == 1) & (rows.ms_played >= 30_000))
        requests = Requests(shown.user, np.ones(len(shown.user), int), np.full(len(shown.user), -1), shown.user < 0)
        chances = truth.item_chances(replace(policy, mixture=PERSONAL), requests, empty)
        target = chances[np.arange(len(shown.user)), np.searchsorted(policy.shelves.released, shown.item)]
        weighted.append(np.isin(shown.request, plays.request) * target / shown.propensity)
        true.append((chances * truth.play_chances(policy, requests)).sum(axis=1))
    difference = np.concatenate(weighted) - np.concatenate(true)
    # The estimate for each request is unbiased for the value of that request, so later requests may be used as well.
    assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(len(difference))
    assert difference.std() / np.sqrt(len(difference)) < 0.01


@pytest.mark.parametrize("weights", [(0.5, 0.5, 0.5), (-0.1, 0.1, 1.0), (float("nan"), 0.5, 0.5)])
def test_the_weights_of_a_mixture_must_be_at_least_0_and_sum_to_1(weights):
    with pytest.raises(InputError, match="sum to 1"):
        Mixture(*weights)

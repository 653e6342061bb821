"""The true value of a policy, held against what happens when the policy itself is played."""

from dataclasses import replace

import numpy as np
import pytest

from events.world import catalogue as catalogues
from events.world import listeners as people
from events.world import truth
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
def listeners_and_policy() -> tuple[people.Listeners, Policy]:
    _, catalogue = catalogues.build(WORLD, seed=0)
    shelves = stock(catalogue, 0)
    listeners, tastes = people.build(WORLD, 0, catalogue, shelves)
    return listeners, Policy.of(shelves, tastes)


@pytest.fixture(scope="module")
def library() -> np.ndarray:
    """Every listener keeps the items 0, 1 and 1 again; listener 0 keeps nothing."""
    kept = np.tile([0, 1, 1, -1], (WORLD.users, 1))
    kept[0] = -1
    return kept


def test_the_shares_of_the_openings_sum_to_one(listeners_and_policy):
    listeners, policy = listeners_and_policy
    requests, shares = truth.openings(policy, listeners, DAYS)
    assert shares.sum() == pytest.approx(1)
    assert shares[requests.searched >= 0].sum() == pytest.approx(0.15)
    assert shares[requests.at_library].sum() == pytest.approx(0.15)


def test_who_has_not_signed_up_opens_nothing(listeners_and_policy):
    listeners, policy = listeners_and_policy
    late = replace(listeners, signup=np.where(np.arange(WORLD.users) == 3, 9, -1))
    assert 3 not in truth.openings(policy, late, DAYS)[0].user
    assert 3 in truth.openings(policy, late, range(9, 10))[0].user


def test_the_chances_of_each_context_sum_to_one(listeners_and_policy, library):
    listeners, policy = listeners_and_policy
    requests, _ = truth.openings(policy, listeners, DAYS)
    chances = truth.item_chances(replace(policy, mixture=PERSONAL), requests, library)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert chances.shape[1] == len(policy.shelves.released)


def test_a_policy_of_one_item_is_worth_its_plays():
    # Two contexts of shares 0.25 and 0.75; the item shown is played with 0.8 and 0.4: 0.2 + 0.3.
    chances = np.array([[1.0, 0.0], [0.0, 1.0]])
    plays = np.array([[0.8, 0.1], [0.9, 0.4]])
    assert truth.value(np.array([0.25, 0.75]), chances, plays) == pytest.approx(0.5)


@pytest.mark.parametrize("mixture", [Mixture(), PERSONAL], ids=["logging", "personal"])
def test_the_value_is_what_the_policy_earns_when_it_is_played(listeners_and_policy, library, mixture):
    listeners, policy = listeners_and_policy
    requests, shares = truth.openings(policy, listeners, DAYS)
    played = replace(policy, mixture=mixture)
    value = truth.value(shares, truth.item_chances(played, requests, library), truth.play_chances(policy, requests))
    rng = np.random.default_rng(0)
    visited = [visits(rng, day, listeners) for _ in range(500) for day in DAYS]
    user, surface = (np.concatenate([visit[part] for visit in visited]) for part in (0, 2))
    searched, _ = search(rng, policy, user, surface == SEARCH)
    asked = Requests(user, np.ones(len(user), int), searched, surface == LIBRARY)
    item = played.slates(rng, asked, library)[0][:, 0]
    duration = policy.shelves.catalogue.duration_ms[item]
    responses = respond(WORLD, rng, 0, np.ones(len(item)), utility(policy, user, item), duration)
    rewards = responses.played & (responses.ms >= 30_000)
    # Four standard errors of a share of about 40,000 sessions: 0.01. The two policies lie further apart.
    assert rewards.mean() == pytest.approx(value, abs=4 * 0.5 / np.sqrt(len(user)))


def test_the_log_of_a_day_gives_back_the_value_of_another_policy(listeners_and_policy):
    # From impressions and plays as they are logged: home and now_playing, whose context is the listener alone.
    listeners, policy = listeners_and_policy
    empty = np.full((WORLD.users, 16), -1)
    parts = [simulate(WORLD, np.random.default_rng(n), 0, listeners, policy, empty.copy()) for n in range(100)]
    weighted, true = [], []
    for rows in parts:
        shown = rows.take((rows.action == IMPRESSION) & (rows.position == 1) & np.isin(rows.surface, [0, 1]))
        kept = rows.take((rows.action == PLAY) & (rows.position == 1) & (rows.ms_played >= 30_000))
        asked = Requests(shown.user, np.ones(len(shown.user), int), np.full(len(shown.user), -1), shown.user < 0)
        chances = truth.item_chances(replace(policy, mixture=PERSONAL), asked, empty)
        target = chances[np.arange(len(shown.user)), np.searchsorted(policy.shelves.released, shown.item)]
        weighted.append(np.isin(shown.request, kept.request) * target / shown.propensity)
        true.append((chances * truth.play_chances(policy, asked)).sum(axis=1))
    difference = np.concatenate(weighted) - np.concatenate(true)
    # Each request's estimate is unbiased for that request's own value, whoever stayed to make it.
    assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(len(difference))
    assert difference.std() / np.sqrt(len(difference)) < 0.01


@pytest.mark.parametrize("weights", [(0.5, 0.5, 0.5), (-0.1, 0.1, 1.0), (float("nan"), 0.5, 0.5)])
def test_a_mixture_is_shares_of_one(weights):
    with pytest.raises(InputError, match="sum to 1"):
        Mixture(*weights)

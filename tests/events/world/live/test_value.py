"""The exact value of a page against cases worked by hand and against the responses that the world draws."""

from dataclasses import replace

import numpy as np
import pytest

from events.importers.synthetic import sized
from events.world.day import HOME
from events.world.live import attention
from events.world.live.moods import MOODS, mood_chances
from events.world.live.outcomes import hour_of
from events.world.live.pages import Pages
from events.world.live.responses import DISLIKE, NOW_PLAYING, actions, respond
from events.world.live.value import best, contexts, expected, policy_values
from events.world.live.world import World

NOON = 12 * 3_600_000_000
REPEATS = 20_000
ROWS = [[3, 7, 11, 15, 19], [20, 24], [28, 32, 36, 40]]


@pytest.fixture(scope="module")
def world() -> World:
    return World.build(sized("nano", version=2), 0)


def page(user: int, surface: int, rows: list[list[int]], count: int = 1, at: int = NOON) -> Pages:
    return Pages.of(np.full(count, user), np.full(count, at), np.full(count, surface), [rows] * count)


def test_a_page_is_a_list_of_slots_in_reading_order():
    pages = Pages.of(np.array([0, 1]), np.array([0, 0]), np.array([0, 0]), [[[5, 6], [], [7]], [[8]]])
    np.testing.assert_array_equal(pages.item, [[5, 6, 7], [8, -1, -1]])
    np.testing.assert_array_equal(pages.row[0], [1, 1, 2])
    np.testing.assert_array_equal(pages.column[0], [1, 2, 1])
    np.testing.assert_array_equal(pages.position[1], [1, 2, 3])


def test_the_chances_of_looking_worked_by_hand():
    # Home: .92 to the next column, .6 of it after a play; next row .82 without a play in the row, .6 with one.
    # Row 1 holds items played with .5 and .25, row 2 one item.
    column, play = np.array([[1, 2, 1]]), np.array([[0.5, 0.25, 0.1]])
    reached = attention.chances(np.array([HOME]), column, np.ones((1, 3), bool), play)
    second = 0.5 * 0.92 + 0.5 * 0.92 * 0.6
    any_play = 0.5 + 0.5 * 0.92 * 0.25
    np.testing.assert_allclose(reached, [[1, second, any_play * 0.6 + (1 - any_play) * 0.82]])


@pytest.mark.parametrize("drift", [None, "behaviour", "genre"])
@pytest.mark.parametrize("surface", [HOME, NOW_PLAYING])
def test_the_exact_outcomes_are_those_that_are_drawn(surface, drift):
    world = World.build(sized("nano", drift, 14 if drift else None, version=2), 0)
    today, user = world.day(15), 4
    shown = page(user, surface, ROWS if surface == HOME else [ROWS[0] + ROWS[2]], REPEATS)
    cumulative = mood_chances(world.listener_traits.moods[[user]], np.array([12.0]))[0].cumsum()
    mood = np.searchsorted(cumulative, np.random.default_rng(0).random(REPEATS) * cumulative[-1], side="right")
    drawn = respond(today, 1, np.arange(REPEATS), mood, shown.at, shown)
    exact = expected(today, page(user, surface, ROWS if surface == HOME else [ROWS[0] + ROWS[2]]))
    duration = world.items.duration_ms[shown.item]
    found = {
        "examined": drawn.examined,
        "play": drawn.played & (drawn.ms >= 30_000),
        "complete": drawn.played & (drawn.ms >= 0.9 * duration),
        "skip": drawn.examined & ~drawn.played,
        "like": drawn.liked,
        "add": drawn.added,
    }
    for name, happened in found.items():
        chance = getattr(exact, name)[0]
        error = 4.5 * np.sqrt(chance * (1 - chance) / REPEATS) + 1e-4
        assert (np.abs(happened.mean(axis=0) - chance) < error).all(), name
    assert exact.examined[0, 0] == pytest.approx(1)


def test_the_outcomes_average_over_the_moods(world):
    today, one = world.day(0), page(2, HOME, ROWS)
    shares = mood_chances(world.listener_traits.moods[[2]], hour_of(one.at))[0]
    by_mood = [expected(today, one, np.array([mood])).play for mood in range(len(MOODS))]
    np.testing.assert_allclose(expected(today, one).play, np.tensordot(shares, by_mood, 1))
    assert np.ptp([plays.sum() for plays in by_mood]) > 0.05


def test_an_item_of_a_disliked_creator_is_never_played_and_sometimes_disliked(world):
    user = int(np.flatnonzero((world.listener_traits.disliked >= 0).any(axis=1))[0])
    item = int(np.flatnonzero(world.items.creator == world.listener_traits.disliked[user].max())[0])
    shown = page(user, HOME, [[item]], 500)
    drawn = respond(world.day(0), 1, np.arange(500), np.zeros(500, int), shown.at, shown)
    assert drawn.examined.all()
    assert not drawn.played.any()
    assert 0.4 < drawn.disliked.mean() < 0.6
    assert (actions(drawn, world.day(0).lost(shown)).action == DISLIKE).sum() == drawn.disliked.sum()
    assert expected(world.day(0), page(user, HOME, [[item]])).play.sum() == 0


def test_a_response_depends_on_its_request_alone(world):
    today, moods = world.day(0), np.zeros(3, int)
    shown = page(5, HOME, ROWS, 3)
    together = respond(today, 0, np.array([7, 8, 9]), moods, shown.at, shown)
    alone = respond(today, 0, np.array([8]), moods[:1], shown.at[:1], page(5, HOME, ROWS))
    for name in vars(alone):
        np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[1])


def test_a_like_comes_after_the_play_and_an_outage_loses_only_plays_and_times(world):
    shown = page(5, HOME, ROWS, 300)
    drawn = respond(world.day(0), 0, np.arange(300), np.zeros(300, int), shown.at, shown)
    done = actions(drawn, world.day(0).lost(shown))
    assert np.bincount(done.action)[:4].sum() > 0
    assert (np.diff(done.page) >= 0).all()
    outage = World.build(sized("nano", "outage", 35, version=2), 0)
    assert not outage.day(34).lost(shown).any()
    assert not outage.day(35).lost(page(5, NOW_PLAYING, ROWS[:1])).any()
    lost = actions(drawn, outage.day(35).lost(shown))
    assert set(lost.action) == set(done.action) - {1}
    assert (lost.ms == -1).all()


def best_page(world: World, worst: bool = False):
    """A policy that knows the world: its items in the order of the listener's own chances, or in reverse."""

    def policy(context):
        today = world.day(context.day)
        released = today.policy.shelves.released
        pages = Pages.of(*(np.array([x]) for x in (context.user, context.at, context.surface)), [[released.tolist()]])
        alone = np.array([expected(today, Pages(
            np.repeat(pages.user, len(released)), np.repeat(pages.at, len(released)),
            np.repeat(pages.surface, len(released)), released[:, None], np.ones((len(released), 1), int),
            np.ones((len(released), 1), int))).play[:, 0]])[0]  # fmt: skip
        order = np.argsort(alone if worst else -alone)[:12]
        return released[order].reshape(3, 4).tolist()

    return policy


def test_contexts_are_common_to_all_policies_and_the_better_policy_has_the_higher_value(world):
    moments = contexts(world, range(28, 32), HOME, 60, seed=3)
    assert moments == contexts(world, range(28, 32), HOME, 60, seed=3)
    assert {moment.day for moment in moments} <= set(range(28, 32))
    difference = policy_values(world, moments, best_page(world)) - policy_values(world, moments, best_page(world, True))
    assert difference.mean() > 1
    assert (difference >= 0).all()


def test_contexts_are_a_sample_of_all_days_and_hours(world):
    moments = contexts(world, range(28, 35), HOME, 10, seed=3)
    everything = contexts(world, range(28, 35), HOME, 25, seed=3)  # a turn has more: 7 days of some 5 sessions
    assert len(set(everything)) == 25
    assert {moment.day for moment in everything} == set(range(28, 35))
    assert len({moment.day for moment in moments}) >= 4
    last_day = [hour_of(moment.at) for moment in contexts(world, range(28, 35), HOME, 300, seed=4) if moment.day == 34]
    assert np.mean(np.array(last_day) > 17) > 0.2  # its evening has its share


def test_the_value_of_a_policy_is_the_mean_reward_when_it_is_simulated(world):
    moments = contexts(world, [30], HOME, 400, seed=5)
    policy = best_page(world)
    chosen = {(moment.user, moment.at): policy(moment) for moment in moments}
    value = policy_values(world, moments, lambda moment: chosen[moment.user, moment.at])
    users, ats = (np.array([getattr(moment, name) for moment in moments]) for name in ("user", "at"))
    shown = Pages.of(users, ats, np.zeros(len(users), int), [chosen[moment.user, moment.at] for moment in moments])
    rng, rewards = np.random.default_rng(0), []
    for turn in range(20):
        cumulative = mood_chances(world.listener_traits.moods[users], hour_of(ats)).cumsum(axis=1)
        mood = (cumulative <= rng.random((len(users), 1)) * cumulative[:, -1:]).sum(axis=1)
        drawn = respond(world.day(30), 9, turn * len(users) + np.arange(len(users)), mood, ats, shown)
        rewards.append((drawn.played & (drawn.ms >= 30_000)).sum(axis=1))
    noise = np.std(rewards) / np.sqrt(np.size(rewards))
    assert np.mean(rewards) == pytest.approx(value.mean(), abs=4 * noise)


def test_a_drift_changes_the_value(world):
    drifted = World.build(sized("nano", "behaviour", 35, version=2), 0)
    moments = contexts(world, [36], HOME, 50, seed=1)
    policy = best_page(world)
    assert policy_values(drifted, moments, policy).mean() < 0.7 * policy_values(world, moments, policy).mean()


@pytest.mark.parametrize("drift", [None, "behaviour"])  # a behaviour drift makes plays of short items too short
@pytest.mark.parametrize("told", [False, True])
def test_no_exchange_of_two_items_improves_the_page_of_the_oracle_by_1_percent(drift, told):
    world = World.build(sized("nano", drift, 20 if drift else None, version=2), 0)
    today, rng = world.day(30), np.random.default_rng(0)
    for user in (2, 5, 9):
        mood = np.array([user % len(MOODS)]) if told else None
        asked = page(user, HOME, ROWS)
        oracle = best(today, asked, mood)
        assert (oracle.row == asked.row).all()
        value = expected(today, oracle, mood).play.sum()
        assert value > expected(today, asked, mood).play.sum()
        for _ in range(60):
            items = oracle.item.copy()
            slot, other = rng.choice(items.shape[1], 2, replace=False)
            other_item = rng.choice(today.policy.shelves.released)
            if other_item in items:  # exchanged within the page, else with an item that is not on it
                items[0, [slot, other]] = items[0, [other, slot]]
            else:
                items[0, slot] = other_item
            assert expected(today, replace(oracle, item=items), mood).play.sum() < 1.01 * value


def test_an_oracle_that_is_told_the_mood_is_no_worse_and_leaves_slots_empty_without_items(world):
    today, asked = world.day(0), page(2, HOME, [list(range(12)), list(range(12, 200))])
    moods = range(len(MOODS))
    told = [expected(today, best(today, asked, np.array([mood])), np.array([mood])).play.sum() for mood in moods]
    untold = [expected(today, best(today, asked), np.array([mood])).play.sum() for mood in moods]
    assert all(a >= b - 0.01 for a, b in zip(told, untold, strict=True))
    assert np.sum(told) > np.sum(untold)
    released = today.policy.shelves.released
    assert sorted(best(today, asked).item[0, : len(released)]) == sorted(released)
    assert (best(today, asked).item[0, len(released) :] == -1).all()

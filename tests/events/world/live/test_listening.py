"""A day of interactive listeners is determined by the seed and by what they are shown."""

from dataclasses import replace

import numpy as np
import pytest

from events.importers.synthetic import sized
from events.world.day import DAY, HOME, PATIENCE, PLAY
from events.world.live.listening import SERVED, listen
from events.world.live.responses import NOW_PLAYING
from events.world.live.sessions import MOST_REQUESTS
from events.world.live.world import World

NANO = sized("nano", version=2)


@pytest.fixture(scope="module")
def world() -> World:
    return World.build(NANO, 0)


def day_of(world: World, day: int, shift: int = 0) -> list[tuple]:
    """The visits of a day, their interactions and times, if everyone is shown the same items."""
    heard = []

    def show(visit):
        released = world.day(day).policy.shelves.released
        return np.roll(released, visit.request % 7 + shift)[:10].reshape(2, 5).tolist()

    def hear(visit, page, responses, done):
        heard.append((visit, page.item[0, done.slot].tolist(), done.action.tolist(), done.ts.tolist()))

    listen(world, day, show, hear)
    return heard


def test_the_same_pages_give_the_same_day_after_the_log_too(world):
    day = NANO.days + 3
    first = day_of(world, day)
    assert len(first) > 5
    assert first == day_of(World.build(NANO, 0), day)
    assert first != day_of(world, day, shift=1)


def test_visits_come_in_order_and_belong_to_their_session(world):
    visits = [visit for day in range(30, 36) for visit, *_ in day_of(world, day)]
    for day in range(30, 36):
        times = [visit.at for visit in visits if visit.began // DAY == day]
        assert times == sorted(times)
    assert len({visit.request for visit in visits}) == len(visits)
    assert {visit.surface for visit in visits} <= set(SERVED)
    assert all(visit.request // MOST_REQUESTS == visit.session for visit in visits)
    assert all(visit.began <= visit.at <= visit.began + PATIENCE for visit in visits)
    assert max(np.bincount(np.unique([v.session for v in visits], return_inverse=True)[1])) > 1


def test_interactions_happen_while_the_listener_is_at_the_page(world):
    for visit, _, _, times in day_of(world, 30):
        assert all(visit.at < ts for ts in times)


def test_an_empty_page_is_answered_by_nothing(world):
    heard = []
    listen(world, 30, lambda visit: [], lambda visit, page, responses, done: heard.append(len(done.slot)))
    assert set(heard) == {0}


def test_new_items_are_released_on_their_day(world):
    monday = next(day for day in range(NANO.days, NANO.days + 14) if (world.items.release == day).any())
    new = set(np.flatnonzero(world.items.release == monday))
    assert new <= set(world.day(monday).policy.shelves.released)
    assert not new & set(world.day(monday - 1).policy.shelves.released)
    assert world.items_table(monday, monday).num_rows == len(new)


def plays(world: World, day: int, surface: int) -> int:
    """How many plays on a surface are told."""
    return sum(actions.count(PLAY) for visit, _, actions, _ in day_of(world, day) if visit.surface == surface)


def test_an_outage_after_the_log_loses_the_plays_on_home(world):
    begins = NANO.days + 3
    outage = World.build(replace(NANO, drift="outage", drift_day=begins), 0)
    assert day_of(outage, begins - 1) == day_of(world, begins - 1)
    assert (plays(world, begins, HOME) > 0, plays(outage, begins, HOME)) == (True, 0)
    assert plays(outage, begins, NOW_PLAYING) == plays(world, begins, NOW_PLAYING) > 0

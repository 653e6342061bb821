"""One writer a listener: nothing is lost, nothing waits for ever, and the caller never waits."""

import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from events import schema
from feature_repo.feast_store import open_store
from feature_repo.online import listener, session_state
from feature_repo.pushes import Interaction, Pusher
from segue.errors import UnavailableError
from surfaces.now_playing.writers import Writers
from tests.feature_repo.conftest import ingest, instant, parse_items, parse_log, users_of
from tests.support.soon import SECONDS

LOG = "u a 0 12:00 play s1\nv b 3 12:00 skip s2"
NOW = instant(4, "09:00")


def interaction(user, item, seconds=0, action=schema.PLAY, session=None):
    return Interaction(user, item, action, NOW + timedelta(seconds=seconds), session)


class Store:
    """A pusher that keeps what it takes; `down` makes it refuse, and `gate` makes it wait."""

    def __init__(self):
        self.taken, self.down, self.gate = [], False, threading.Event()
        self.gate.set()

    def extend(self, interactions):
        self.gate.wait(SECONDS)
        if self.down:
            raise UnavailableError("the store is down", "wait")
        self.taken += interactions


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def writers(store):
    writers = Writers(lambda: store, lambda: [], workers=2, waiting=3)
    yield writers
    store.down = False
    store.gate.set()
    writers.close()


@pytest.fixture(scope="module")
def online(tmp_path_factory):
    """The home of a small log, with features online."""
    log = parse_log(LOG)
    ingested = ingest(
        tmp_path_factory.mktemp("writers"), log, parse_items("a music rock -\nb music pop -"), users_of(log)
    )
    ingested.refresh()
    return ingested.home


def history(home, user):
    return listener(open_store(home), user).features_at(NOW + timedelta(days=1))["history_items"]


@pytest.mark.slow
def test_eight_threads_lose_nothing(online):
    users = [f"t{n}" for n in range(5)]
    writers = Writers(lambda: Pusher(open_store(online)), lambda: [])

    def push(thread):
        return [
            writers.submit(interaction(user, f"i{thread}-{n}", session=f"s-{user}")) for n in range(5) for user in users
        ]

    with ThreadPoolExecutor(8) as pool:
        futures = [future for part in pool.map(push, range(8)) for future in part]
    assert all(future.result(SECONDS) for future in futures)
    writers.close()
    for user in users:
        assert sorted(history(online, user)) == sorted(f"i{thread}-{n}" for thread in range(8) for n in range(5))
        assert session_state(open_store(online), f"s-{user}") == {"session_plays": 40, "session_skips": 0}
    assert (writers.pushed, writers.dropped, writers.backlog()) == (200, 0, 0)


@pytest.mark.slow
def test_a_push_is_visible_soon(online):
    reader, writers = open_store(online), Writers(lambda: Pusher(open_store(online)), lambda: [])
    writers.submit(interaction("first", "a")).result(SECONDS)  # opens the writers' stores
    for n in range(20):
        began = time.monotonic()
        writers.submit(interaction("w", f"i{n}", n))
        while listener(reader, "w").newest < NOW + timedelta(seconds=n):
            assert time.monotonic() - began < SECONDS  # `segue bench gateway` measures the time
            time.sleep(0.001)
    writers.close()


def test_a_listener_has_the_same_writer_in_every_process(writers):
    assert [writers._worker(user) for user in ("u00001", "u00002", "u00003", "u00004")] == [0, 1, 1, 1]


def test_a_dead_store_is_asked_again_and_says_so(writers, store, eventually):
    store.down = True
    future = writers.submit(interaction("u", "a"))
    eventually(lambda: writers.trouble is not None)
    assert "the store is down" in str(writers.trouble)
    assert not future.done()
    store.down = False
    assert future.result(SECONDS)
    assert writers.trouble is None
    assert [one.item_id for one in store.taken] == ["a"]


def test_what_has_no_room_is_dropped_at_once_and_replayed_later(store, eventually):
    journal = [interaction("u", item) for item in ("a", "i0", "i1", "i2", "too many")]
    writers = Writers(lambda: store, lambda: journal, workers=1, waiting=3)
    eventually(lambda: store.taken == journal)  # the replay of the start
    store.gate.clear()
    waiting = [writers.submit(journal[0])]
    while writers.backlog():  # the writer holds it
        time.sleep(0.001)
    waiting += [writers.submit(one) for one in journal[1:4]]
    assert writers.submit(journal[4]).result(0) is False
    assert (writers.dropped, writers.pushed) == (1, 0)
    store.gate.set()
    assert all(future.result(SECONDS) for future in waiting)
    eventually(lambda: len(store.taken) == 14)  # 5 of the start, 4 that waited, 5 of the replay
    assert not writers.behind
    writers.close()


def test_a_replay_waits_for_a_dead_store_and_for_a_dead_journal(store, eventually, monkeypatch):
    monkeypatch.setattr("surfaces.now_playing.writers.REPLAY_PAUSE", 0.01)
    store.down, journal_down = True, [True]

    def uncollected():
        if journal_down:
            journal_down.pop()
            raise UnavailableError("the journal is down", "wait")
        yield from (interaction("u", f"i{n}") for n in range(100))

    writers = Writers(lambda: store, uncollected, workers=1)
    eventually(lambda: writers.trouble is not None)
    store.down = False
    eventually(lambda: len(store.taken) == 100)
    assert not writers.behind
    writers.close()


def test_a_batch_that_cannot_be_pushed_does_not_stop_the_others(store):
    writers = Writers(lambda: store, lambda: [], workers=1)
    extend, store.extend = store.extend, lambda interactions: 1 / 0
    assert writers.submit(interaction("u", "a")).result(SECONDS) is False
    assert writers.dropped == 1
    store.extend = extend
    assert writers.submit(interaction("u", "b")).result(SECONDS) is True
    writers.close()


def test_closing_pushes_what_waits_and_takes_nothing_more(store):
    writers = Writers(lambda: store, lambda: [], workers=1)
    futures = [writers.submit(interaction("u", f"i{n}")) for n in range(50)]
    writers.close()
    assert all(future.result(0) for future in futures)
    assert writers.submit(interaction("u", "after")).result(0) is False


def test_closing_with_a_dead_store_ends(store):
    writers = Writers(lambda: store, lambda: [], workers=1)
    store.down = True
    future = writers.submit(interaction("u", "a"))
    writers.close(seconds=2)
    assert future.result(SECONDS) is False


def test_what_waits_of_a_forgotten_listener_is_dropped():
    store = Store()
    store.gate.clear()
    writers = Writers(lambda: store, lambda: [], workers=1)
    try:
        pushed = [writers.submit(interaction("first", "i"))]
        while writers.backlog():  # it is being pushed, and what comes now waits
            time.sleep(0.001)
        pushed += [writers.submit(interaction(user, "i")) for user in ("gone", "stays", "gone")]
        writers.forget(lambda user_id: user_id == "gone")
        store.gate.set()
        assert [future.result(SECONDS) for future in pushed] == [True, False, True, False]
    finally:
        writers.close()
    assert [one.user_id for one in store.taken] == ["first", "stays"]


def test_a_listener_who_is_forgotten_while_a_batch_is_gathered_stops_no_writer(store, monkeypatch):
    class Forgetting(queue.Queue):
        def get_nowait(self):
            writers.forget(lambda user_id: user_id == "gone")
            return super().get_nowait()

    monkeypatch.setattr(queue, "Queue", Forgetting)
    store.gate.clear()
    writers = Writers(lambda: store, lambda: [], workers=1)
    try:
        first = writers.submit(interaction("first", "a"))
        while writers.backlog():
            time.sleep(0.001)
        pushed = [writers.submit(interaction(user, "a")) for user in ("second", "gone")]
        store.gate.set()
        assert [future.result(SECONDS) for future in (first, *pushed)] == [True, True, False]
        assert writers.submit(interaction("third", "a")).result(SECONDS)
    finally:
        writers.close()

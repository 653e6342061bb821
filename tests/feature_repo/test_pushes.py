"""Pushes of several interactions at once: order, repetition, other processes and a store that does not answer."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
from feast import FeatureStore

from feature_repo import transformations
from feature_repo.online import listener, session_state
from feature_repo.pushes import Interaction, Pusher
from segue.errors import UnavailableError


@pytest.fixture(scope="module")
def store(ingest_log, tmp_path_factory):
    """A small log online, in which u was heard on day 3."""
    return ingest_log(
        tmp_path_factory.mktemp("pushes"), "u a 3 12:00 play s1", "a music rock -\nb music pop -"
    ).refresh()


@pytest.fixture
def push(at):
    """`push(user, item, clock, action, session)`: an interaction of day 4."""

    def make(user, item, clock, action="play", session=None):
        return Interaction(user, item, action, at(4, clock), session)

    return make


def items(store, user, at):
    return listener(store, user).features_at(at(5))["history_items"]


def test_a_batch_extends_every_listener_in_order_of_time(store, push, at):
    batch = [
        push("b1", "a", "10:00", session="t1"),
        push("b2", "b", "10:00", "skip", "t1"),
        push("b1", "b", "10:05", "impression"),
        push("b1", "b", "10:10", session="t1"),
        push("b1", "c", "10:05"),  # came late: before the one above
        push("b1", "d", "10:10"),  # of the same second
    ]
    assert Pusher(store).extend(batch) == [True, True, False, True, True, True]
    assert items(store, "b1", at) == ["a", "c", "b", "d"]
    assert items(store, "b2", at) == ["b"]
    assert session_state(store, "t1") == {"session_plays": 2, "session_skips": 1}


def test_a_repeated_push_counts_once(store, push, at):
    pusher = Pusher(store)
    batch = [push("r1", "a", "10:00", session="t2"), push("r1", "b", "10:01", "skip", "t2")]
    assert pusher.extend(batch) == [True, True]
    assert pusher.extend([*batch[::-1], push("r1", "c", "10:00", session="t2")]) == [False, False, True]
    assert items(store, "r1", at) == ["a", "c", "b"]
    assert session_state(store, "t2") == {"session_plays": 2, "session_skips": 1}


def test_what_a_full_history_has_dropped_stays_out(store, push, at, monkeypatch):
    monkeypatch.setattr(transformations, "HISTORY", 2)
    batch = [push("f1", item, f"10:0{n}", session="t3") for n, item in enumerate("abc")]
    assert Pusher(store).extend(batch) == [True, True, True]
    assert Pusher(store).extend(batch[:1]) == [False]
    assert items(store, "f1", at) == ["b", "c"]
    assert session_state(store, "t3")["session_plays"] == 3


def test_a_push_that_ends_half_way_has_written_nothing(store, push, at, monkeypatch):
    pusher = Pusher(store)
    with monkeypatch.context() as broken:
        broken.setattr(Pusher, "_counts", lambda self, interactions: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pusher.extend([push("h1", "a", "10:00", session="t4")])
    assert pusher.extend([push("h1", "b", "10:00", session="t4")]) == [True]
    assert items(store, "h1", at) == ["b"]
    assert session_state(store, "t4")["session_plays"] == 1


def test_history_and_count_are_written_together(store, push, at, monkeypatch):
    pusher = Pusher(store)
    write, written = pusher._provider.online_write_batch, []

    def second_fails(config, view, rows, progress):
        written.append(view.name)
        if len(written) == 2:
            raise sqlite3.OperationalError("disk I/O error")
        return write(config, view, rows, progress)

    with monkeypatch.context() as broken:
        broken.setattr(pusher._provider, "online_write_batch", second_fails)
        with pytest.raises(UnavailableError):
            pusher.extend([push("g1", "a", "10:00", session="t5")])
    assert written == ["user_history", "session_context"]
    assert pusher.extend([push("g1", "a", "10:00", session="t5")]) == [True]  # nothing of it had been written
    assert session_state(store, "t5")["session_plays"] == 1


def test_two_pushers_of_one_listener_lose_nothing(store, push, at):
    def push_all(part):
        pusher = Pusher(store_again(store))
        return [pusher.extend([push("p1", f"i{part}-{n}", f"10:{n:02}", session="t6")]) for n in range(20)]

    with ThreadPoolExecutor(2) as pool:
        assert all(new for part in pool.map(push_all, range(2)) for (new,) in part)
    assert sorted(items(store, "p1", at)) == sorted(f"i{part}-{n}" for part in range(2) for n in range(20))
    assert session_state(store, "t6")["session_plays"] == 40


def store_again(store):
    """Another store object over the same files, as another process has one."""
    return FeatureStore(config=store.config)


def test_nothing_to_push_is_no_call(store, push):
    pusher = Pusher(store)
    assert pusher.extend([]) == []
    assert pusher.extend([push("n1", "a", "10:00", "impression", "t7")]) == [False]


def test_a_batch_equals_single_pushes(store, push, at):
    pusher, clocks = Pusher(store), ("11:00", "11:00", "11:01")
    for user, batches in (("one", [[c] for c in clocks]), ("all", [clocks])):
        number = 0
        for batch in batches:
            interactions = [push(user, f"i{number + n}", clock) for n, clock in enumerate(batch)]
            number += len(batch)
            assert pusher.extend(interactions) == [True] * len(batch)
    assert items(store, "one", at) == items(store, "all", at) == ["i0", "i1", "i2"]


def test_readers_and_the_writer_do_not_wait_for_each_other(store, push, at):
    pusher = Pusher(store)
    path = store.config.online_store.path
    reader = sqlite3.connect(path)
    reader.execute("begin")
    assert reader.execute("select count(*) from segue_user_history").fetchone()[0] > 0  # holds its snapshot
    assert pusher.extend([push("w1", "a", "12:00")]) == [True]
    reader.close()
    assert items(store, "w1", at) == ["a"]


@pytest.mark.slow
def test_a_store_that_does_not_answer_is_said(ingest_log, tmp_path, push):
    store = ingest_log(tmp_path, "u a 3 12:00 play s1", "a music rock -").refresh()
    pusher = Pusher(store)
    pusher._provider.online_store._conn.execute("drop table segue_user_history")
    with pytest.raises(UnavailableError, match="The online store does not answer"):
        pusher.extend([push("u", "a", "12:00")])
    with pytest.raises(UnavailableError, match="The online store does not answer"):
        listener(store, "u")

"""Pushes of several interactions at once: order, refusals, stamps and a store that does not answer."""

import sqlite3
from datetime import timedelta

import pytest

from feature_repo.online import listener, session_state
from feature_repo.pushes import Interaction, Pusher, after
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


def test_a_batch_extends_every_listener_in_its_order(store, push, at):
    pusher = Pusher(store)
    batch = [
        push("b1", "a", "10:00", session="t1"),
        push("b2", "b", "10:00", "skip", "t1"),
        push("b1", "b", "10:05", "impression"),
        push("b1", "b", "10:10", session="t1"),
        push("b1", "c", "10:05"),  # older than the one before it
        push("b1", "d", "10:10"),  # of the same second
    ]
    refusals = pusher.extend(batch)
    assert [refusal is None for refusal in refusals] == [True, True, True, True, False, True]
    assert "come in order of time" in refusals[4].headline
    pusher.count([one for one, refusal in zip(batch, refusals, strict=True) if refusal is None])
    assert items(store, "b1", at) == ["a", "b", "d"]
    assert items(store, "b2", at) == ["b"]
    assert session_state(store, "t1") == {"session_plays": 2, "session_skips": 1}


def test_nothing_to_push_is_no_call(store):
    pusher = Pusher(store)
    assert pusher.extend([]) == []
    assert pusher.count([]) is None


def test_a_batch_equals_single_pushes(store, push, at):
    pusher, clocks = Pusher(store), ("11:00", "11:00", "11:01")
    for user, batches in (("one", [[c] for c in clocks]), ("all", [clocks])):
        number = 0
        for batch in batches:
            interactions = [push(user, f"i{number + n}", clock) for n, clock in enumerate(batch)]
            number += len(batch)
            assert pusher.extend(interactions) == [None] * len(batch)
    assert items(store, "one", at) == items(store, "all", at) == ["i0", "i1", "i2"]


@pytest.mark.parametrize(
    ("stored", "pushed", "stamp"),
    [
        pytest.param("10:00:00", "10:00:02", "10:00:02", id="a later second"),
        pytest.param("10:00:00", "10:00:00", "10:00:01", id="the same instant"),
        pytest.param("10:00:00.900", "10:00:00.950", "10:00:01", id="the same second, which Redis reads as its start"),
        pytest.param("10:00:03", "10:00:02", "10:00:04", id="after pushes of one second moved the stamp on"),
    ],
)
def test_every_push_has_a_later_stamp(at, stored, pushed, stamp):
    assert after(at(4, stored), at(4, pushed)) == at(4, stamp)


def test_readers_and_the_writer_do_not_wait_for_each_other(store, push, at):
    pusher = Pusher(store)
    path = store.config.online_store.path
    reader = sqlite3.connect(path)
    reader.execute("begin")
    assert reader.execute("select count(*) from segue_user_history").fetchone()[0] > 0  # holds its snapshot
    assert pusher.extend([push("w1", "a", "12:00")]) == [None]
    reader.close()
    assert items(store, "w1", at) == ["a"]


@pytest.mark.slow
def test_a_store_that_does_not_answer_is_said(ingest_log, tmp_path, push):
    store = ingest_log(tmp_path, "u a 3 12:00 play s1", "a music rock -").refresh()
    pusher = Pusher(store)
    pusher._provider.online_store._conn.execute("drop table segue_user_history")
    with pytest.raises(UnavailableError, match="The online store does not take a push"):
        pusher.extend([push("u", "a", "12:00")])


def test_an_old_and_a_new_zone_are_one_instant(at):
    later = at(4, "10:00") + timedelta(seconds=5)
    assert after(at(4, "10:00"), later.astimezone(None)) == later

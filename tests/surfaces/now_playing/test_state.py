"""The session as it happens: hand-worked transitions, and undo."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.errors import InputError
from surfaces.now_playing.state import (
    ACTIONS_KEPT,
    UNDO_KEPT,
    Action,
    Chip,
    Promise,
    Session,
    dislike,
    promise,
    steer,
    take,
    undo,
)

START = datetime(2027, 1, 15, 8, tzinfo=UTC)
JAZZ, CALM = Chip("genre", "jazz"), Chip("mood", "calm")


def act(number, item, action, second=None):
    return Action(f"e{number}", item, action, START + timedelta(seconds=number if second is None else second))


def queue(*items):
    return tuple(Promise(item, 0.5, 1.0) for item in items)


def promised(session):
    return [one.item_id for one in session.state.queue]


@pytest.mark.parametrize(
    ("item", "action", "left"),
    [
        pytest.param("a", "play", ["b", "c"], id="the first item is played"),
        pytest.param("b", "play", ["c"], id="an item in the middle is played"),
        pytest.param("x", "play", [], id="an item outside the queue is played"),
        pytest.param("a", "skip", [], id="a skip"),
        pytest.param("x", "like", ["a"], id="a like of what plays now"),
        pytest.param("a", "add", ["b"], id="an add of a queued item"),
        pytest.param("a", "impression", ["a", "b", "c"], id="an impression"),
    ],
)
def test_what_stays_promised(item, action, left):
    session = promise(Session("u"), queue("a", "b", "c"))
    assert promised(take(session, act(1, item, action))) == left


def test_a_dislike_and_other_chips_promise_anew():
    session = promise(Session("u"), queue("a", "b"))
    assert promised(dislike(session, "b")) == []
    assert promised(steer(session, (JAZZ,))) == []
    assert steer(session, ()) is session
    assert dislike(dislike(session, "b"), "b") == dislike(session, "b")


def test_actions_are_sorted_by_their_time_and_an_event_counts_once():
    session = Session("u")
    for one in (act(1, "a", "play", 10), act(2, "b", "skip", 5), act(1, "a", "play", 10)):
        session = take(session, one)
    assert [one.item_id for one in session.state.actions] == ["b", "a"]
    assert len(session.past) == 2


def test_an_undone_event_that_comes_again_changes_nothing():
    session = undo(take(Session("u"), act(1, "a", "skip")))
    assert take(session, act(1, "a", "skip")) == session
    assert [one.item_id for one in session.undone] == ["a"]


def test_the_memory_of_a_session_is_bounded():
    session = Session("u")
    for number in range(3 * ACTIONS_KEPT):
        session = dislike(take(session, act(number, f"i{number}", "play")), f"i{number}")
    assert len(session.state.actions) == len(session.state.dislikes) == ACTIONS_KEPT
    assert session.state.actions[-1].item_id == f"i{3 * ACTIONS_KEPT - 1}"
    assert len(session.past) == UNDO_KEPT


def test_nothing_to_undo_is_an_error():
    with pytest.raises(InputError, match="An undo needs an action"):
        undo(Session("u"))


STEPS = st.one_of(
    st.tuples(st.just("take"), st.sampled_from("abcd"), st.sampled_from(["play", "skip", "like", "add"])),
    st.tuples(st.just("dislike"), st.sampled_from("abcd"), st.none()),
    st.tuples(st.just("steer"), st.sampled_from([(), (JAZZ,), (CALM,), (JAZZ, CALM)]), st.none()),
    st.tuples(st.just("promise"), st.lists(st.sampled_from("abcd"), unique=True, max_size=3), st.none()),
)


@given(st.lists(STEPS, max_size=UNDO_KEPT))
def test_any_sequence_of_actions_and_then_as_many_undos_restores(steps):
    session, before = Session("u"), []
    for number, (kind, value, action) in enumerate(steps):
        if kind == "promise":
            session = promise(session, queue(*value))
            continue
        after = {
            "take": lambda s, v=value, n=number, a=action: take(s, act(n, v, a)),
            "dislike": lambda s, v=value: dislike(s, v),
            "steer": lambda s, v=value: steer(s, v),
        }[kind](session)
        if after is not session:
            before.append(session.state)
        session = after
    for state in reversed(before):
        session = undo(session)
        assert session.state == state
    assert session.past == ()

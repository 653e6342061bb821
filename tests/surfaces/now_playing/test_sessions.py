"""The sessions in memory, and how one is rebuilt from rows."""

from datetime import UTC, datetime, timedelta

import pytest

from surfaces.now_playing.sessions import (
    OtherListenersSessionError,
    Sessions,
    joined,
    online_actions,
    with_session,
)
from surfaces.now_playing.state import Action, Session, take, undo

NOW = datetime(2027, 1, 15, 8, tzinfo=UTC)


def act(number, item, action, minutes=0.0):
    return Action(f"e{number}", item, action, NOW - timedelta(minutes=minutes))


def test_the_session_that_was_not_used_for_longest_is_dropped():
    sessions = Sessions(most=2)
    for name in ("s1", "s2"):
        sessions.change(name, "u", lambda session: session)
    sessions.get("s1", "u")
    sessions.change("s3", "u", lambda session: session)
    assert [sessions.get(name, "u") is not None for name in ("s1", "s2", "s3")] == [True, False, True]
    assert len(sessions) == 2


def test_a_session_belongs_to_one_listener():
    sessions = Sessions()
    sessions.change("s", "u", lambda session: session)
    for refused in (lambda: sessions.get("s", "v"), lambda: sessions.change("s", "v", lambda session: session)):
        with pytest.raises(OtherListenersSessionError, match="'s' is not a session of 'v'"):
            refused()


def test_a_session_is_rebuilt_from_the_online_history():
    live = Session("u")
    for one in (act(1, "a", "play", 9), act(2, "x", "like", 8)):
        live = take(live, one)
    online = [Action("", *one.entry[:2], one.ts) for one in reversed(live.state.actions)]
    rebuilt = joined(Session("u"), online)
    assert [one.entry for one in rebuilt.state.actions] == [one.entry for one in live.state.actions]


def test_rows_that_the_session_has_change_nothing():
    session = take(Session("u"), act(1, "a", "skip", 5))
    assert joined(session, [Action("", *act(1, "a", "skip", 5).entry[:2], act(1, "a", "skip", 5).ts)]) is session
    assert joined(undo(session), [act(1, "a", "skip", 5)]).state.actions == ()


def test_the_running_session_ends_at_a_pause_of_half_an_hour():
    minutes = [1, 30, 59, 91, 92]
    features = {
        "history_items": list("abcde"),
        "history_actions": ["play"] * 5,
        "history_times": [int((NOW - timedelta(minutes=m)).timestamp()) for m in minutes],
    }
    assert [one.item_id for one in online_actions(features, NOW)] == ["c", "b", "a"]
    assert online_actions({}, NOW) == []
    assert online_actions({"history_items": None}, NOW) == []


def test_the_history_that_is_sent_holds_what_is_not_online_yet_and_not_what_was_undone():
    session = Session("u")
    for one in (act(1, "a", "play", 9), act(2, "b", "skip", 8), act(3, "c", "play", 7), act(4, "d", "skip", 6)):
        session = take(session, one)
    session = undo(session)  # d
    online = [act(4, "d", "skip", 6), act(2, "b", "skip", 8), act(1, "a", "play", 9), act(0, "z", "play", 60)]
    names = ("history_items", "history_actions", "history_times")
    features = {name: [one.entry[i] for one in online] for i, name in enumerate(names)} | {"country": "SE"}
    sent = with_session(features, session)
    assert sent["history_items"] == ["c", "b", "a", "z"]
    assert sent["history_actions"] == ["play", "skip", "play", "play"]
    assert sent["history_times"] == sorted(sent["history_times"], reverse=True)
    assert sent["country"] == "SE"
    assert with_session({}, session)["history_items"] == ["c", "b", "a"]

"""The sessions in memory, and how one is rebuilt from rows."""

from datetime import UTC, datetime, timedelta

import pytest

from events.journal.records import Exposure
from surfaces.now_playing.sessions import (
    OtherListenersSessionError,
    Sessions,
    joined,
    online_actions,
    promised,
    with_session,
)
from surfaces.now_playing.state import Action, Promise, Session, promise, take, undo

NOW = datetime(2027, 1, 15, 8, tzinfo=UTC)


def act(number, item, action, minutes=0.0):
    return Action(f"e{number}", item, action, NOW - timedelta(minutes=minutes))


def exposure(position, item, fallback=0):
    policy = f"fallback-{fallback}" if fallback else "now-playing"
    return Exposure(
        "r", "u", "s", NOW, "now_playing", "", 1, position, position, item, policy, "1",
        {"sequence": 3}, {}, 1.0 if fallback else 0.25, 1.0, {"next": 2.0}, ("next",), fallback,
    )  # fmt: skip


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


def test_a_session_is_rebuilt_from_the_journal_and_the_online_history():
    live = promise(Session("u"), promised([exposure(2, "b"), exposure(1, "a"), exposure(3, "c")]))
    for one in (act(1, "a", "play", 9), act(2, "x", "like", 8)):
        live = take(live, one)
    page = promised([exposure(3, "c"), exposure(1, "a"), exposure(2, "b")])
    online = [Action("", "a", "play", act(1, "a", "play", 9).ts)]
    rebuilt = joined(promise(Session("u"), page), [act(2, "x", "like", 8), act(1, "a", "play", 9), *online])
    assert rebuilt.state == live.state
    assert [one.item_id for one in rebuilt.state.queue] == ["b"]
    assert rebuilt.state.queue[0] == Promise("b", 0.25, 2.0, ("next",), 3)


def test_rows_that_the_session_has_change_nothing():
    session = take(Session("u"), act(1, "a", "skip", 5))
    assert joined(session, [Action("", *act(1, "a", "skip", 5).entry[:2], act(1, "a", "skip", 5).ts)]) is session
    assert joined(undo(session), [act(1, "a", "skip", 5)]).state.actions == ()


def test_a_fallback_page_promised_nothing():
    assert promised([exposure(1, "a", fallback=3)]) == ()


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

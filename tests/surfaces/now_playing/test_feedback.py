"""Feedback as it comes: the session has it at once, and the writers get it."""

from datetime import UTC, datetime

import pytest

from events.journal.records import Feedback
from surfaces.now_playing.feedback import FeedbackPath
from surfaces.now_playing.sessions import OtherListenersSessionError, Sessions

NOW = datetime(2027, 1, 15, 8, tzinfo=UTC)


class Writers:
    """Takes interactions."""

    def __init__(self):
        self.submitted = []

    def submit(self, interaction):
        self.submitted.append(interaction)


def feedback(number, action="play", session="s", user="u"):
    return Feedback(f"e{number}", "r", user, session, f"i{number}", action, None, NOW)


def test_an_action_is_in_the_session_when_the_call_returns():
    sessions, writers = Sessions(), Writers()
    path = FeedbackPath(sessions, writers)
    path.take([feedback(1), feedback(2, "skip"), feedback(3, "impression"), feedback(4, "like", session=None)])
    session = sessions.get("s", "u")
    assert [(one.event_id, one.item_id, one.action) for one in session.state.actions] == [
        ("e1", "i1", "play"),
        ("e2", "i2", "skip"),
    ]
    assert [(one.item_id, one.session_id) for one in writers.submitted] == [("i1", "s"), ("i2", "s"), ("i4", None)]


def test_feedback_is_refused_before_it_is_journaled():
    sessions = Sessions()
    FeedbackPath(sessions, Writers()).take([feedback(1)])
    with pytest.raises(OtherListenersSessionError):
        FeedbackPath(sessions, Writers()).check([feedback(2, user="v")])
    with pytest.raises(OtherListenersSessionError):
        FeedbackPath(Sessions(), Writers()).check([feedback(2), feedback(3, user="v")])
    assert FeedbackPath(sessions, Writers()).check([feedback(2), feedback(3, session=None, user="v")]) is None

"""Feedback as it comes: into the session in memory at once, and to the online store by its writers."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from events.journal.records import Feedback
from events.schema import INTERACTIONS
from surfaces.now_playing.sessions import OtherListenersSessionError, Sessions, other_listeners
from surfaces.now_playing.state import Action, take
from surfaces.now_playing.writers import Pushed, Writers


class FeedbackPath:
    """Takes feedback that the journal has, for the next answer of its session and of its listener.

    Args:
        sessions: in memory.
        writers: of the online store.
    """

    def __init__(self, sessions: Sessions, writers: Writers) -> None:
        self._sessions = sessions
        self.writers = writers

    def check(self, feedback: Sequence[Feedback]) -> None:
        """Refuse feedback before it is journaled.

        Raises:
            OtherListenersSessionError: a session is another listener's.
        """
        owners: dict[str, str] = {}
        for one in feedback:
            if one.session_id is not None:
                self._sessions.get(one.session_id, owners.setdefault(one.session_id, one.user_id))
                if owners[one.session_id] != one.user_id:
                    raise other_listeners(one.session_id, one.user_id)

    def take(self, feedback: Sequence[Feedback]) -> list[Pushed]:
        """Take feedback that is new to the journal. Nothing here waits.

        Returns:
            For each interaction a future that is done when it is online; impressions have none.
        """
        from feature_repo.pushes import Interaction

        pushed = []
        for one in feedback:
            if one.action in INTERACTIONS:
                if one.session_id is not None:
                    action = Action(one.event_id, one.item_id, one.action, one.ts)
                    # Another listener may have begun the session since `check`; the journal has the feedback anyway.
                    with suppress(OtherListenersSessionError):
                        self._sessions.change(one.session_id, one.user_id, partial(take, action=action))
                interaction = Interaction(one.user_id, one.item_id, one.action, one.ts, one.session_id)
                pushed.append(self.writers.submit(interaction))
        return pushed

"""The sessions in memory: the newest ones of this process, and how one is rebuilt after a restart."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from events.schema import INTERACTIONS
from segue.errors import InputError
from surfaces.hydrate import Features
from surfaces.now_playing.state import Action, Session, take

MOST = 10_000  # sessions in memory: about 100 MB if each has all of its actions
SCORE = "next"  # the name of the score in exposures
GAP = timedelta(minutes=30)  # a longer pause ends a session


class OtherListenersSessionError(InputError):
    """A session belongs to another listener."""


def other_listeners(session_id: str, user_id: str) -> OtherListenersSessionError:
    """The error for a session that is not this listener's."""
    return OtherListenersSessionError(
        f"A session belongs to one listener. {session_id!r} is not a session of {user_id!r}.",
        "Begin a session with an id of its own.",
    )


class Sessions:
    """The sessions that were used last. All calls come from one event loop.

    Args:
        most: how many are kept; the one that was not used for longest is dropped first, and is rebuilt if it comes
            back.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, session_id: str, user_id: str) -> Session | None:
        """A session; None if it is not in memory.

        Raises:
            OtherListenersSessionError: it is another listener's.
        """
        session = self._kept.get(session_id)
        if session is None:
            return None
        if session.user_id != user_id:
            raise other_listeners(session_id, user_id)
        self._kept.move_to_end(session_id)
        return session

    def change(self, session_id: str, user_id: str, step: Callable[[Session], Session]) -> Session:
        """Apply a function to a session, which begins now if it is not in memory, and keep and return the result.

        Raises:
            OtherListenersSessionError: it is another listener's.
        """
        session = step(self.get(session_id, user_id) or Session(user_id))
        self._kept[session_id] = session
        self._kept.move_to_end(session_id)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return session

    def forget(self, gone: Callable[[str], bool]) -> None:
        """Drop the sessions of the listeners for whom `gone` is true."""
        for session_id in [name for name, session in self._kept.items() if gone(session.user_id)]:
            del self._kept[session_id]


def joined(session: Session, rows: Iterable[Action]) -> Session:
    """The session with the actions of some rows that it does not have yet, oldest first.

    After a restart this rebuilds the session from an empty one. In between it brings what another gateway took.

    Args:
        session: the session so far.
        rows: actions of the same listener, from the online history, in any order.
    """
    known = {action.entry for action in (*session.state.actions, *session.undone)}
    new = {one.entry: one for one in rows if one.entry not in known}
    for action in sorted(new.values(), key=lambda one: one.ts):
        session = take(session, action)
    return session


def online_actions(features: Features, at: datetime) -> list[Action]:
    """The newest actions of a listener's online history without a pause of half an hour: the session that still runs.

    Args:
        features: `history_items`, `history_actions` and `history_times` (seconds since 1970 UTC), newest first.
        at: the instant of the request.
    """
    columns = (features.get(f"history_{name}") or [] for name in ("items", "actions", "times"))
    found: list[Action] = []
    newer = at
    for item, action, seconds in zip(*columns, strict=True):
        ts = datetime.fromtimestamp(seconds, UTC)
        if newer - ts > GAP or action not in INTERACTIONS:
            break
        found.append(Action("", item, action, ts))
        newer = ts
    return found[::-1]


def with_session(features: Features, session: Session) -> Features:
    """Features whose history holds the session's own actions, also those that are not online yet.

    Actions that were undone are left out, although the online history has them.

    Args:
        features: of the listener, with histories newest first; see `surfaces.hydrate`.
        session: of the same listener.
    """
    names = ("history_items", "history_actions", "history_times")
    online = list(zip(*(features.get(name) or [] for name in names), strict=True))
    undone = {action.entry for action in session.undone}
    known = set(online)
    own = [action.entry for action in reversed(session.state.actions) if action.entry not in known]
    # A stable sort: entries of one second keep their order, the session's own first, because they came later.
    merged = sorted((*own, *online), key=lambda entry: -entry[2])
    history = [entry for entry in merged if entry not in undone]
    return {**features, **{name: [entry[i] for entry in history] for i, name in enumerate(names)}}

"""The session as it happens: an immutable state, and functions that return the next state.

What is promised next stays, unless an action changes it:

| action | queue |
|---|---|
| a queued item is played | it leaves the queue with the items before it; the rest stays |
| like, add | the first item stays, and the rest is drawn anew |
| skip, dislike, other chips, play of an item outside the queue | all is drawn anew |
| undo | the queue is again as it was before the last action |
| a request with another market, other content types or another `explicit` | all is drawn anew |
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

from events import schema
from segue.errors import InputError

ACTIONS_KEPT = 100  # of a session; the models read 50 entries of a history
UNDO_KEPT = 20
KEPT_AFTER_LIKE = 1


@dataclass(frozen=True)
class Action:
    """A play, skip, like or add of an item at an instant; `event_id` is '' if it is not known."""

    event_id: str
    item_id: str
    action: str
    ts: datetime

    @property
    def entry(self) -> tuple[str, str, int]:
        """The action as an entry of a history: item, action, seconds since 1970 UTC."""
        return self.item_id, self.action, int(self.ts.timestamp())


@dataclass(frozen=True)
class Chip:
    """One wish that a listener chose: `kind` is one of `chips.KINDS`; `value` is '' for a kind without values."""

    kind: str
    value: str = ""


@dataclass(frozen=True)
class Promise:
    """An item in the queue.

    Attributes:
        item_id: the item.
        propensity: of the draw that put it there, given the items before it.
        score: that it was drawn by.
        sources: which found it.
        version: of the model that gave the score; another version promises anew.
    """

    item_id: str
    propensity: float
    score: float
    sources: tuple[str, ...] = ()
    version: int = 0


@dataclass(frozen=True)
class SessionState:
    """What an undo restores.

    Attributes:
        actions: of the session, oldest first by their time; at most `ACTIONS_KEPT`.
        queue: what is promised, the next item first.
        dislikes: items that the listener does not want to hear, in the order in which they were named.
        chips: the active wishes.
        conditions: of the request that the queue was promised to, see `next_tracks.conditions`.
    """

    actions: tuple[Action, ...] = ()
    queue: tuple[Promise, ...] = ()
    dislikes: tuple[str, ...] = ()
    chips: tuple[Chip, ...] = ()
    conditions: tuple = ()


@dataclass(frozen=True)
class Session:
    """A listener's session.

    Attributes:
        user_id: the listener.
        state: the state now.
        past: the states before the last actions, the newest last; at most `UNDO_KEPT`.
        undone: actions that were undone. The online history has them already, so requests leave them out.
    """

    user_id: str
    state: SessionState = field(default_factory=SessionState)
    past: tuple[SessionState, ...] = ()
    undone: tuple[Action, ...] = ()


def take(session: Session, action: Action) -> Session:
    """The session after an action on an item. Impressions, and events that it has already, change nothing.

    Actions may come out of order: the state sorts them by their time, as the online store does.
    """
    state = session.state
    known = action.event_id and any(had.event_id == action.event_id for had in (*state.actions, *session.undone))
    if action.action not in schema.INTERACTIONS or known:
        return session
    actions = tuple(sorted((*state.actions, action), key=lambda one: one.ts))[-ACTIONS_KEPT:]
    return changed(session, replace(state, actions=actions, queue=queue_after(state.queue, action)))


def queue_after(queue: tuple[Promise, ...], action: Action) -> tuple[Promise, ...]:
    """What stays promised after an action; see the table of this module."""
    places = [place for place, promise in enumerate(queue) if promise.item_id == action.item_id]
    if action.action == schema.PLAY:
        return queue[places[0] + 1 :] if places else ()
    if action.action == schema.SKIP:
        return ()
    return tuple(promise for promise in queue if promise.item_id != action.item_id)[:KEPT_AFTER_LIKE]


def dislike(session: Session, item_id: str) -> Session:
    """The session after the listener said no to an item."""
    if item_id in session.state.dislikes:
        return session
    kept = (*session.state.dislikes, item_id)[-ACTIONS_KEPT:]
    return changed(session, replace(session.state, dislikes=kept, queue=()))


def steer(session: Session, chips: tuple[Chip, ...]) -> Session:
    """The session with these chips as its wishes, and no others. The same chips change nothing."""
    if chips == session.state.chips:
        return session
    return changed(session, replace(session.state, chips=chips, queue=()))


def promise(session: Session, queue: tuple[Promise, ...], conditions: tuple = ()) -> Session:
    """The session with a queue that is filled under some conditions; it is no action, so an undo goes past it."""
    return replace(session, state=replace(session.state, queue=queue, conditions=conditions))


def undo(session: Session) -> Session:
    """The session before its last action.

    Raises:
        InputError: there is no action to undo.
    """
    if not session.past:
        raise InputError(
            "An undo needs an action before it. This session has none.",
            f"Undo after a play, a skip, a like, a dislike or a chip; the last {UNDO_KEPT} can be undone.",
        )
    *past, before = session.past
    gone = tuple(action for action in session.state.actions if action not in before.actions)
    return replace(session, state=before, past=tuple(past), undone=(*session.undone, *gone)[-ACTIONS_KEPT:])


def changed(session: Session, state: SessionState) -> Session:
    """The session with a new state that can be undone."""
    return replace(session, state=state, past=(*session.past, session.state)[-UNDO_KEPT:])

"""Now Playing behind the gateway: the session of a request, its steps, and the queue that is promised."""

from collections.abc import Callable
from dataclasses import dataclass

from surfaces.engine.context import Context
from surfaces.engine.path import Path
from surfaces.engine.stage import Trace
from surfaces.gateway import api
from surfaces.gateway.pages import Decision
from surfaces.home.surface import fitting_mix
from surfaces.now_playing.chips import wishes_of
from surfaces.now_playing.next_tracks import Next, next_tracks
from surfaces.now_playing.sessions import Sessions, joined, online_actions
from surfaces.now_playing.state import Chip, Session, dislike, promise, steer, undo
from surfaces.request import Request
from surfaces.versions import VersionSet

SURFACE = "now_playing"
WORDS = {"play": "You played {}.", "skip": "You skipped {}.", "like": "You liked {}.", "add": "You added {}."}


@dataclass(frozen=True)
class NextDecision:
    """A decision about what plays next, and why it differs from what was promised before."""

    decision: Decision
    trace: Trace
    changed: str


async def decide_next(
    path: Path, sessions: Sessions, session_id: str, body: api.NextRequest, request: Request
) -> NextDecision:
    """What plays next in a session.

    Args:
        path: the stages.
        sessions: in memory.
        session_id: the session; one that is not in memory begins with the newest actions of the listener.
        body: chips, dislike and undo, which change the session first.
        request: the request.

    Raises:
        OtherListenersSessionError: the session is another listener's.
        UnknownListenerError: the online store does not know the listener.
        InputError: a chip or an item is not known, or there is nothing to undo.
    """
    catalogue, user = path.catalogue, body.user_id
    chips = None if body.chips is None else tuple(Chip(chip.kind, chip.value) for chip in body.chips)
    for chip in chips or ():
        wishes_of(chip, catalogue)
    catalogue.check([body.dislike] if body.dislike else ())
    steps: list[Callable[[Session], Session]] = []
    if body.undo:
        steps.append(undo)
    if body.dislike:
        steps.append(lambda session: dislike(session, body.dislike or ""))
    if chips is not None:
        steps.append(lambda session: steer(session, chips))
    stepped = False

    async def run(versions: VersionSet, trace: Trace) -> tuple[Context, Next, Trace, str]:
        nonlocal stepped
        known = sessions.get(session_id, user)
        context = await path.context(request, versions, trace)
        if known is None and sessions.get(session_id, user) is None:
            rebuilt = joined(Session(user), online_actions(context.features, request.at))
            sessions.change(session_id, user, lambda session: rebuilt)
        if not stepped:  # and not again with other model versions
            for step in steps:
                sessions.change(session_id, user, step)
            stepped = True
        session = sessions.get(session_id, user) or Session(user)
        found = await next_tracks(
            path.models, context, session, fitting_mix(context), body.k, request.seed("next"), trace
        )
        before = session.state.queue
        if found.queue is not None:
            queue = found.queue
            # An action that came meanwhile has changed what may be promised.
            sessions.change(session_id, user, lambda now: promise(now, queue) if now.state == session.state else now)
        return context, found, trace, "" if found.queue == before else why(body, session, catalogue.title)

    context, found, trace, changed = await path.by_versions(run)
    decision = Decision(
        request.request_id,
        user,
        session_id,
        request.at,
        SURFACE,
        SURFACE,
        found.page,
        dict(context.versions.versions),
        trace.degraded,
    )
    return NextDecision(decision, trace, changed)


def why(body: api.NextRequest, session: Session, title: Callable[[str], str]) -> str:
    """Why a queue was drawn anew, in one sentence: the last step of the listener."""
    if body.undo:
        return "Your last step was undone."
    if body.dislike:
        return f"You do not want to hear {title(body.dislike)}."
    if body.chips:
        wishes = [chip.kind.replace("_", " ") + (f" {chip.value}" if chip.value else "") for chip in body.chips]
        return f"You asked for {', '.join(wishes)}."
    if session.state.actions:
        last = session.state.actions[-1]
        return WORDS[last.action].format(title(last.item_id))
    return "The session begins."

"""A request for the next items: the session takes what the request brings, and the queue is filled."""

from dataclasses import dataclass, replace
from functools import reduce

from surfaces.arms.assigned import Arms
from surfaces.engine.context import Context
from surfaces.engine.page import ShownPage
from surfaces.engine.path import Path
from surfaces.engine.stage import Trace
from surfaces.home.surface import fitting_mix
from surfaces.now_playing.chips import wishes_of
from surfaces.now_playing.next_tracks import Next, conditions, next_tracks
from surfaces.now_playing.sessions import Sessions, joined, online_actions
from surfaces.now_playing.state import Chip, Session, dislike, promise, steer, undo
from surfaces.now_playing.why import why
from surfaces.request import Request
from surfaces.versions import VersionSet


@dataclass(frozen=True)
class Steps:
    """What a request does to its session before it is answered.

    Args:
        chips: the wishes from now on; None leaves them as they are.
        dislikes: items that the listener says no to.
        undo: take the last action back first.
    """

    chips: tuple[Chip, ...] | None = None
    dislikes: tuple[str, ...] = ()
    undo: bool = False


@dataclass(frozen=True)
class Answer:
    """What is shown, with the reasons as the reason of its shelf; what decided: versions and arms; what stages did."""

    page: ShownPage
    versions: VersionSet
    arms: Arms
    trace: Trace


class NowPlaying:
    """Answers the requests of Now Playing. All calls come from one event loop.

    Args:
        path: hydrates requests and calls the models.
        sessions: in memory.
    """

    def __init__(self, path: Path, sessions: Sessions) -> None:
        self._path = path
        self.sessions = sessions

    async def answer(self, session_id: str, request: Request, steps: Steps) -> Answer:
        """The next items of a session, at least the request's `k` if there are so many.

        Raises:
            OtherListenersSessionError: the session is another listener's.
            UnknownListenerError: the online store does not know the listener.
            InputError: a chip is not known, or there is nothing to undo.
        """
        self.sessions.get(session_id, request.user_id)
        # The session takes its steps once, whatever becomes of the versions.
        begun: list[tuple[Context, Session, Trace]] = []

        async def run(versions: VersionSet, trace: Trace) -> tuple[Next, VersionSet, Trace]:
            if not begun:
                context = await self._path.context(request.surface, request, versions, trace)
                session = self.sessions.change(
                    session_id, request.user_id, lambda now: self._begun(now, context, steps)
                )
                begun.append((context, session, trace))
            context, session, first = begun[0]
            trace.take_features(first)
            trace.off |= context.arms.off
            context = await self._path.with_versions(replace(context, versions=versions), trace)
            return await self._next(context, session, trace), context.versions, trace

        found, versions, trace = await self._path.by_versions(run)
        ((context, session, _),) = begun
        queue = found.queue
        if queue is not None:
            # An action that came meanwhile has changed the session; what was drawn before it is not promised.
            self.sessions.change(
                session_id,
                request.user_id,
                lambda now: promise(now, queue, conditions(request)) if now.state == session.state else now,
            )
        reason = " ".join(why(session.state, self._path.catalogue, steps.undo))
        shelves = tuple(replace(shelf, reason=reason) for shelf in found.page.shelves)
        return Answer(replace(found.page, shelves=shelves), versions, context.arms, trace)

    def _begun(self, session: Session, context: Context, steps: Steps) -> Session:
        """The session with what the online history has and what the request brings."""
        for chip in steps.chips or ():
            wishes_of(chip, context.catalogue)
        if context.request.picks is None:  # picks stand in the history as likes of this instant, and are no actions
            session = joined(session, online_actions(context.features, context.request.at))
        if steps.undo:
            session = undo(session)
        session = reduce(dislike, steps.dislikes, session)
        return session if steps.chips is None else steer(session, steps.chips)

    async def _next(self, context: Context, session: Session, trace: Trace) -> Next:
        request = context.request
        mix = fitting_mix(context) if context.arms.parameters.get("calibrated", True) else {}
        seed, path = request.seed("next"), self._path
        return await next_tracks(path.models, context, session, mix, request.k, seed, trace, path.deadlines)

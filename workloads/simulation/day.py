"""One day of the simulation: the listeners' requests and events over HTTP, or the same day again from its record."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from events import schema
from events.world.config import FIRST_DAY
from events.world.live.listening import Visit, listen
from events.world.live.pages import Pages
from events.world.live.responses import DISLIKE, NOW_PLAYING, Actions, Responses
from events.world.live.world import World
from workloads.simulation.gateway import Gateway
from workloads.simulation.served import Record, Shown

START = datetime.combine(FIRST_DAY, datetime.min.time(), UTC)


@dataclass(frozen=True)
class Moment:
    """A visit with what was shown and done."""

    visit: Visit
    shown: Shown
    page: Pages
    responses: Responses
    events: list[dict[str, Any]]


def instant(microseconds: int) -> datetime:
    """Return the time of a world, which counts microseconds from the start of its first day."""
    return START + timedelta(microseconds=microseconds)


def session_id(visit: Visit) -> str:
    """Return the id of a session."""
    return f"sim-{visit.session}"


def serve(world: World, day: int, gateway: Gateway, record: Record) -> None:
    """Let a day happen: ask the gateway for every page that the record lacks, and tell it what the listeners did.

    Raises:
        UnavailableError: The gateway does not answer. What was served so far is kept in the record.
        SegueError: The gateway refuses a request.
    """

    disliked: dict[int, list[str]] = {}  # by session: said since the last tracks, to be said with the next ones

    def show(visit: Visit) -> Shown:
        dislikes = disliked.pop(visit.session, []) if visit.surface == NOW_PLAYING else []
        if visit.request not in record.pages:
            user_id, asked, at = world.user_ids[visit.user], record.ask(visit.request), instant(visit.at)
            shown = gateway.page(user_id, asked, session_id(visit), visit.surface, at, dislikes)
            record.show(visit.request, shown)
        return record.pages[visit.request]

    def hear(moment: Moment) -> None:
        items = moment.page.item[moment.responses.disliked]
        if len(items):
            disliked.setdefault(moment.visit.session, []).extend(world.item_ids[item] for item in items)
        if moment.visit.request not in record.told:
            if moment.events:
                gateway.tell(moment.events)
            record.tell(moment.visit.request)

    play(world, day, show, hear)


def replayed(world: World, day: int, record: Record) -> list[Moment]:
    """Return the moments of a day that was served, in the order in which they happened."""
    moments: list[Moment] = []
    play(world, day, lambda visit: record.pages[visit.request], moments.append)
    return moments


def play(world: World, day: int, show: Callable[[Visit], Shown], hear: Callable[[Moment], None]) -> None:
    """Let a day happen. `show` answers a visit, `hear` takes what came of it."""
    pages: dict[int, Shown] = {}

    def rows(visit: Visit) -> list[list[int]]:
        pages[visit.request] = shown = show(visit)
        return [[world.item_index[item_id] for item_id in row] for row in shown.rows]

    def heard(visit: Visit, page: Pages, responses: Responses, done: Actions) -> None:
        shown = pages.pop(visit.request)
        events = events_of(world, visit, shown.request_id, page, responses, done)
        hear(Moment(visit, shown, page, responses, events))

    listen(world, day, rows, heard)


def events_of(
    world: World, visit: Visit, request_id: str, page: Pages, responses: Responses, done: Actions
) -> list[dict[str, Any]]:
    """Return the events that a client sends of a page, in the order of time: what was seen, and what was done.

    Their ids are those of the place and the action, so sending them again counts for nothing.
    """
    seen = [
        (visit.at + slot * 1000, slot, schema.IMPRESSION, -1) for slot in responses.examined[0].nonzero()[0].tolist()
    ]
    acted = [
        (ts, slot, schema.ACTIONS[action], ms)
        for ts, slot, action, ms in zip(
            *(getattr(done, name).tolist() for name in ("ts", "slot", "action", "ms")), strict=True
        )
        if action != DISLIKE
    ]
    return [
        {
            "event_id": f"{request_id}:{slot + 1}:{action}",
            "request_id": request_id,
            "user_id": world.user_ids[visit.user],
            "session_id": session_id(visit),
            "item_id": world.item_ids[page.item[0, slot]],
            "action": action,
            "ms_played": ms if ms >= 0 else None,
            "ts": instant(ts).isoformat(),
        }
        for ts, slot, action, ms in sorted(seen + acted)
    ]

"""Events behind the gateway: checked as a batch, durable in the journal, then taken by the session and online store."""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

from events.journal.journal import Journal
from events.journal.records import Feedback
from segue.errors import InputError, UnavailableError
from surfaces.catalogue import Catalogue
from surfaces.gateway import api
from surfaces.gateway.pages import Decision, Pages
from surfaces.now_playing.feedback import FeedbackPath

FUTURE = timedelta(minutes=5)  # by which clocks of clients may be fast
OLDEST = timedelta(days=30)  # in which a client that was offline may send what was played
WAIT_SECONDS = 5.0  # for the journal's commit


class UnknownItemError(InputError):
    """The catalogue does not have an item."""


async def take_events(
    events: list[api.Event], now: datetime, catalogue: Catalogue, pages: Pages, journal: Journal, path: FeedbackPath
) -> api.EventsAnswer:
    """Take a batch of events: all, once they are durable, or none.

    Args:
        events: the batch.
        now: the current time, UTC.
        catalogue: knows the items.
        pages: know the listeners of the newest requests.
        journal: keeps the events.
        path: brings new events to the session and the online store.

    Raises:
        UnknownItemError: an item is not in the catalogue, and the request did not show it.
        ConflictError, OtherListenersSessionError: a request or a session is another listener's.
        InputError: a time lies in the future, or too far in the past; or a record breaks a rule of the journal.
        UnavailableError: the journal or the online store has no room, or the journal does not answer.
    """
    for number, event in enumerate(events):
        check_time(number, event.ts, now)
        decision = pages.of_request(event.request_id, event.user_id)
        # A model may know an item before the catalogue is read again; what was shown counts.
        if event.item_id not in catalogue.index and not (decision and shows(decision, event.item_id)):
            raise UnknownItemError(
                f"events.{number}: there is no item {event.item_id!r}.", "Send the item_id that was shown."
            )
    feedback = [Feedback(**event.model_dump()) for event in events]
    path.check(feedback)
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            is_new = await asyncio.wrap_future(journal.record(feedback))
    except Exception as error:  # the events keep the journal's rules, so any error is the journal's
        reason = "no answer in time" if isinstance(error, TimeoutError) else error
        raise UnavailableError(
            f"The journal did not keep the events: {reason}.", "Send the same events again: each event id counts once."
        ) from error
    path.take(in_order(one for one, new in zip(feedback, is_new, strict=True) if new))
    return api.EventsAnswer(accepted=sum(is_new), duplicates=len(is_new) - sum(is_new))


def shows(decision: Decision, item_id: str) -> bool:
    """Whether a page has an item."""
    return any(item.item_id == item_id for item in decision.page.items)


def check_time(number: int, ts: datetime, now: datetime) -> None:
    """Refuse a time that no client can mean.

    Raises:
        InputError: it lies in the future, or too far in the past.
    """
    if not now - OLDEST <= ts <= now + FUTURE:
        raise InputError(
            f"events.{number}: an event lies at most {OLDEST.days} days in the past and "
            f"{FUTURE.seconds // 60} minutes in the future. Received {ts.isoformat()}; it is {now.isoformat()}.",
            "Correct the clock of the client, or import old events by `segue data import`.",
        )


def in_order(feedback: Iterable[Feedback]) -> list[Feedback]:
    """Feedback by its time: the online store refuses an interaction that is older than the newest one."""
    return sorted(feedback, key=lambda one: one.ts)

"""The three kinds of records of the journal, their rules, and their form as bytes."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any, NamedTuple, TypeVar

import orjson
import pyarrow as pa

from events import schema
from events.journal.rules import check_ids, check_page, check_time, refuse
from segue.errors import InputError

PAGE, FEEDBACK, DISLIKE = "page", "feedback", "dislike"
PROMISED = "promised"  # the first source of an item that an earlier request drew, and that is only shown again
EARLIER = b"x"  # how a page of an earlier version begins: zlib's text of a row for each exposure
OF_PAGE = (  # what the exposures of a page share
    "request_id", "user_id", "session_id", "ts", "surface", "policy", "policy_version", "model_versions", "arms",
    "layout_propensity", "fallback", "query", "degraded", "features", "served",
)  # fmt: skip
NOTHING: dict[str, Any] = {}
Kind = TypeVar("Kind")
EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class Exposure(NamedTuple):
    """One item that was shown, as it was decided; `page_record` checks the rules.

    Args:
        request_id: The request; all exposures of its page share the id.
        user_id, session_id: The listener, and the session if there is one.
        ts: The moment of the decision, UTC.
        surface: One of `schema.SURFACES`.
        shelf: The shelf's id; empty where the page is one list.
        row, column: The place on the page, from 1.
        position: The place in the reading order of the page, from 1; each place holds one item.
        item_id: The item.
        policy, policy_version: What decided; `fallback-<level>` for a page that was not decided as usual.
        model_versions: Versions of the models that were asked.
        arms: Arms of experiments.
        propensity: Probability of this item at this place given the layout, in (0, 1].
        layout_propensity: Probability of the layout, in (0, 1].
        scores: The scores that decided.
        sources: The sources that proposed the item; the first one is `PROMISED` if an earlier request drew it.
        fallback: Level of degradation; 0 is a whole page.
        query: The words of a search.
        degraded: The stages whose fallback stood in; a page of level 0 may have some.
        features: A fingerprint of the features that were served, of the listener and the session; empty if the online
            store did not give them.
        served: These features, a JSON object; empty where the fingerprint is, and if they are too long to keep.
        title, reason: The words above the shelf.
    """

    request_id: str
    user_id: str
    session_id: str | None
    ts: datetime
    surface: str
    shelf: str
    row: int
    column: int
    position: int
    item_id: str
    policy: str
    policy_version: str
    model_versions: dict[str, int] = NOTHING
    arms: dict[str, str] = NOTHING
    propensity: float = 1.0
    layout_propensity: float = 1.0
    scores: dict[str, float] = NOTHING
    sources: tuple[str, ...] = ()
    fallback: int = 0
    query: str | None = None
    degraded: tuple[str, ...] = ()
    features: str = ""
    served: str = ""
    title: str = ""
    reason: str = ""

    @property
    def chance(self) -> float:
        """Probability of the logged action: the layout, and then the item at its place."""
        return self.propensity * self.layout_propensity

    @property
    def drawn_chance(self) -> float | None:
        """The chance as an event has it: None if an earlier request drew the item, so that each draw counts once."""
        return None if self.sources[:1] == (PROMISED,) else self.chance


@dataclass(frozen=True)
class Feedback:
    """Something that a listener did with an item, or the confirmation that an item was in the viewport.

    Args:
        event_id: The id that the client gave; a second record of the same id counts for nothing.
        request_id: The request that showed the item.
        user_id, session_id: The listener, and the session if there is one.
        item_id: The item.
        action: One of `schema.ACTIONS`; `impression` confirms that the item was in the viewport.
        ms_played: Milliseconds played, if known.
        ts: When it happened, UTC; not after `received`.
        received: When it came, UTC: no page decided before had seen it. None is as if it came when it happened.

    Raises:
        InputError: A value breaks one of these rules.
    """

    event_id: str
    request_id: str
    user_id: str
    session_id: str | None
    item_id: str
    action: str
    ms_played: int | None
    ts: datetime
    received: datetime | None = None

    def __post_init__(self) -> None:
        check_ids(self, "event_id", "request_id", "user_id", "item_id")
        check_time(self.ts)
        if self.event_id.startswith(schema.SHOWN):
            refuse("event_id", f"does not begin with {schema.SHOWN}", self.event_id)
        if self.action not in schema.ACTIONS:
            refuse("action", f"is one of {', '.join(schema.ACTIONS)}", self.action)
        if self.ms_played is not None and not 0 <= self.ms_played < 2**53:
            refuse("ms_played", "is 0 or more milliseconds", self.ms_played)
        if self.received is not None:
            check_time(self.received, "received")
            if self.ts > self.received:
                refuse("ts", f"is not after received, {self.received.isoformat()}", self.ts)


@dataclass(frozen=True)
class Dislike:
    """A listener does not want to be shown an item again, nor others of its creator.

    Args:
        key: A new id.
        user_id, item_id: The listener and the item.
        ts: When it was said, UTC.
        withdrawn: Whether the listener takes it back.

    Raises:
        InputError: A value breaks a rule.
    """

    key: str
    user_id: str
    item_id: str
    ts: datetime
    withdrawn: bool = False

    def __post_init__(self) -> None:
        check_ids(self, "key", "user_id", "item_id")
        check_time(self.ts)


@dataclass(frozen=True)
class Record:
    """A record as a keeping stores it.

    Args:
        kind: `PAGE`, which holds all exposures of a request, `FEEDBACK` or `DISLIKE`.
        key: The request id of a page, the event id of feedback; unique within its kind.
        request_id, user_id: The request, '' for a dislike, and the listener.
        ts: The record's time, microseconds since 1970 UTC.
        body: The record itself.
    """

    kind: str
    key: str
    request_id: str
    user_id: str
    ts: int
    body: bytes


def page_record(exposures: Sequence[Exposure]) -> Record:
    """Return the record of a page: once what its exposures share, and a column for each other field.

    A page has some 70 exposures. To check and write each by itself would take 1 ms.

    Raises:
        InputError: A value breaks a rule of `Exposure`, or the exposures are not those of one page.
    """
    items: dict[str, tuple[Any, ...]] = dict(zip(Exposure._fields, zip(*exposures, strict=True), strict=True))
    page, shared = exposures[0], {}
    for name in OF_PAGE:
        column = items.pop(name)
        if column.count(column[0]) < len(column):
            refuse(name, "is the same for all exposures of a page", column)
        shared[name] = column[0]
    check_page(page, items)
    body = pa.compress(encoded({"page": shared, "items": items}), codec="zstd", asbytes=True)  # a third of zlib's time
    return Record(PAGE, page.request_id, page.request_id, page.user_id, microseconds(page.ts), body)


def feedback_record(feedback: Feedback) -> Record:
    """Return the record of feedback."""
    return Record(
        FEEDBACK,
        feedback.event_id,
        feedback.request_id,
        feedback.user_id,
        microseconds(feedback.ts),
        encoded(feedback),
    )


def dislike_record(dislike: Dislike) -> Record:
    """Return the record of a dislike."""
    return Record(DISLIKE, dislike.key, "", dislike.user_id, microseconds(dislike.ts), encoded(dislike))


def encoded(value: Any) -> bytes:
    """Return records as JSON.

    Raises:
        InputError: A text is not UTF-8, or a number is beyond 64 bits.
    """
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise InputError(f"A record is text in UTF-8 and numbers of 64 bits: {error}.", "Correct the record.") from None


def read_page(body: bytes) -> list[Exposure]:
    """Return the exposures of a page's record, in reading order."""
    if body.startswith(EARLIER):
        exposures = [
            Exposure(**{**row, **read_shared(row), "sources": tuple(row["sources"])})
            for row in orjson.loads(zlib.decompress(body))
        ]
    else:
        values = orjson.loads(pa.CompressedInputStream(pa.BufferReader(body), "zstd").read())
        page, items = values["page"], values["items"]
        columns: dict[str, Iterable[Any]] = {
            name: repeat(value) for name, value in {**page, **read_shared(page)}.items()
        }
        columns |= {**items, "sources": map(tuple, items["sources"])}
        exposures = list(map(Exposure._make, zip(*map(columns.__getitem__, Exposure._fields), strict=False)))
    return sorted(exposures, key=lambda exposure: exposure.position)


def read_shared(page: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a page that JSON has in another form, or that records of earlier versions lack."""
    return {
        "ts": datetime.fromisoformat(page["ts"]),
        "degraded": tuple(page.get("degraded", ())),
        "served": page.get("served", ""),
    }


def read_feedback(body: bytes) -> Feedback:
    """Return the feedback of a record."""
    values = orjson.loads(body)
    received = values.get("received")  # records of earlier versions have none
    return unchecked(Feedback, {**values, "received": received and datetime.fromisoformat(received)})


def read_dislike(body: bytes) -> Dislike:
    """Return the dislike of a record."""
    return unchecked(Dislike, orjson.loads(body))


def unchecked(kind: type[Kind], values: dict[str, Any]) -> Kind:
    """Return a record as it was written. Its rules were checked then; again they would take most of a collection."""
    record = object.__new__(kind)
    vars(record).update(values, ts=datetime.fromisoformat(values["ts"]))
    return record


def microseconds(ts: datetime) -> int:
    """Return a time in microseconds since 1970 UTC."""
    return (ts - EPOCH) // MICROSECOND

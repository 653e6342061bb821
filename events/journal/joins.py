"""Join a request's exposures with its feedback: what was seen, what was done, and what cannot be used.

Feedback belongs to an exposure if both name the same request and item. An exposure was seen, and is an impression, if

- the listener did something with its item, or
- the client confirmed that it was in the viewport, or
- the client confirms nothing on this page, and the listener did something with an item after it in the same shelf (in
  the same page, if it is one list): who got there passed it.

The rows of a request depend on its records alone, not on the order in which they came.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa

from events import schema
from events.checks import UNKNOWN_ITEM
from events.journal import served
from events.journal.keeping import RequestRecords
from events.journal.records import Exposure, Feedback, read_feedback, read_page
from segue.errors import InputError

# What an event keeps of its exposure beside the columns of the contract. The texts are JSON objects.
EXPOSURE = pa.field(
    "exposure",
    pa.struct([
        pa.field("shelf", pa.string()),
        pa.field("row", pa.int32()),
        pa.field("column", pa.int32()),
        pa.field("layout_propensity", pa.float64()),
        pa.field("fallback", pa.int32()),
        pa.field("model_versions", pa.string()),
        pa.field("arms", pa.string()),
        pa.field("scores", pa.string()),
        pa.field("sources", pa.list_(pa.string())),
        pa.field("degraded", pa.list_(pa.string())),
        pa.field("features", pa.string()),  # a fingerprint of the features that were served
        pa.field("confirmed", pa.bool_()),  # the client confirmed what was in the viewport of this page
    ]),
)  # fmt: skip
ROWS = schema.EVENTS.append(EXPOSURE).append(schema.RECEIVED)

OTHER_LISTENER = "user_id is not the listener of the request"
NOT_SHOWN = "impression confirms an item that the journal does not know as shown"


def refuse_own(events: pa.Schema) -> None:
    """Refuse a log with columns of its own that have the names of those that only collected rows have.

    A time of receipt from another server is no `received`: its impressions have one too, and pages need not have waited
    for it.

    Raises:
        InputError: `exposure` or `received` has another type than a collected log's, or there is no `exposure`.
    """
    for column in (EXPOSURE, schema.RECEIVED):
        if column.name not in events.names:
            continue
        if EXPOSURE.name not in events.names or not stands_for(events.field(column.name).type, column.type):
            raise InputError(
                f"The column {column.name} holds what the journal knows of an event. The log has one of its own.",
                f"Import the log with `--map log_{column.name}={column.name}`, which gives the column another name.",
            )


def stands_for(stored: pa.DataType, wanted: pa.DataType) -> bool:
    """Return whether a stored column is the wanted one, or a struct of some of its fields."""
    if not pa.types.is_struct(stored) or not pa.types.is_struct(wanted):
        return stored == wanted
    return all(field in list(wanted) for field in stored)


@dataclass
class Joined:
    """What requests give.

    Attributes:
        requests: Their number.
        rows: Events, with the columns `ROWS`.
        refused: `(reason, event)` of what cannot be used.
        pages: The requests whose page is known.
        feedback: Event ids of all their feedback.
        served: Rows of `served.SCHEMA`, of the pages that have an impression.
    """

    requests: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    refused: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    pages: set[str] = field(default_factory=set)
    feedback: set[str] = field(default_factory=set)
    served: list[dict[str, Any]] = field(default_factory=list)


def join(requests: Iterable[RequestRecords], items: set[str]) -> Joined:
    """Join the records of requests.

    Feedback that no exposure explains stays an interaction: it says what the listener likes, but gives no label. A
    confirmation without its exposure says nothing and is refused, as is everything about an unknown item.

    Args:
        requests: The records.
        items: Ids of the catalogue.
    """
    joined = Joined()
    for request in requests:
        joined.requests += 1
        page = read_page(request.page) if request.page else []
        by_item: dict[str, Exposure] = {}
        for exposure in page:
            by_item.setdefault(exposure.item_id, exposure)  # the first place of an item is the one that counts
        if page:
            joined.pages.add(request.request_id)
        used = []
        for feedback in map(read_feedback, request.feedback):
            joined.feedback.add(feedback.event_id)
            if page and feedback.user_id != page[0].user_id:
                joined.refused.append((OTHER_LISTENER, interaction(feedback, None)))
            elif feedback.action == schema.IMPRESSION and feedback.item_id not in by_item:
                joined.refused.append((NOT_SHOWN, interaction(feedback, None)))
            else:
                used.append(feedback)
        rows = [interaction(f, by_item.get(f.item_id)) for f in used if f.action != schema.IMPRESSION]
        shown = seen(list(by_item.values()), used)
        rows += [impression(by_item[item_id]) for item_id in shown]
        if shown and page[0].served:
            joined.served.append({name: getattr(page[0], name) for name in served.SCHEMA.names})
        confirmed = any(f.action == schema.IMPRESSION for f in used)
        for row in rows:
            if EXPOSURE.name in row:
                row[EXPOSURE.name]["confirmed"] = confirmed
            if row["item_id"] in items:
                joined.rows.append(row)
            else:
                joined.refused.append((UNKNOWN_ITEM, row))
    return joined


def seen(page: list[Exposure], feedback: list[Feedback]) -> list[str]:
    """Return the items of a page that were seen (the rule is this module's), in reading order."""
    confirmed = {one.item_id for one in feedback if one.action == schema.IMPRESSION}
    used = {one.item_id for one in feedback}
    if confirmed:
        return [exposure.item_id for exposure in page if exposure.item_id in used]
    furthest: dict[int, int] = {}  # the last position of a list that the listener reached
    for exposure in page:
        if exposure.item_id in used:
            furthest[list_of(exposure)] = exposure.position
    return [exposure.item_id for exposure in page if exposure.position <= furthest.get(list_of(exposure), 0)]


def list_of(exposure: Exposure) -> int:
    """Return the number of the list that an exposure stands in: the row of its shelf, or 0 for the whole page."""
    return exposure.row if exposure.shelf else 0


def impression(exposure: Exposure) -> dict[str, Any]:
    """Return the event that an exposure was seen. Its time is that of the decision, so features are those served."""
    return {
        "event_id": f"{schema.SHOWN}{exposure.request_id}:{exposure.position}",
        "user_id": exposure.user_id,
        "item_id": exposure.item_id,
        "ts": exposure.ts,
        "session_id": exposure.session_id,
        "action": schema.IMPRESSION,
        "ms_played": None,
        "request_id": exposure.request_id,
        **place(exposure),
        "propensity": exposure.drawn_chance,
    }


def interaction(feedback: Feedback, exposure: Exposure | None) -> dict[str, Any]:
    """Return the event of feedback, with the place of the exposure that it follows, if there is one.

    It is not earlier than the exposure: a client's clock may be slow, and a play before its impression would be in the
    history from which the play is predicted.
    """
    return {
        "event_id": feedback.event_id,
        "user_id": feedback.user_id,
        "item_id": feedback.item_id,
        "ts": max(feedback.ts, exposure.ts) if exposure else feedback.ts,
        "session_id": feedback.session_id or (exposure.session_id if exposure else None),
        "action": feedback.action,
        "ms_played": feedback.ms_played,
        "request_id": feedback.request_id,
        schema.RECEIVED.name: feedback.received,
        **(place(exposure) if exposure else {}),
    }


def place(exposure: Exposure) -> dict[str, Any]:
    """Return where an item was shown and who decided it."""
    return {
        "surface": exposure.surface,
        "position": exposure.position,
        "query": exposure.query,
        "policy": exposure.policy if exposure.fallback else f"{exposure.policy}@{exposure.policy_version}",
        "exposure": {
            "shelf": exposure.shelf,
            "row": exposure.row,
            "column": exposure.column,
            "layout_propensity": exposure.layout_propensity,
            "fallback": exposure.fallback,
            "model_versions": as_json(exposure.model_versions),
            "arms": as_json(exposure.arms),
            "scores": as_json(exposure.scores),
            "sources": exposure.sources,
            "degraded": exposure.degraded,
            "features": exposure.features,
        },
    }


def as_json(value: dict[str, Any]) -> str:
    """Return a mapping as JSON with sorted names."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()

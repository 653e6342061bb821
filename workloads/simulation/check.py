"""Compare what was collected with what the world says was shown and done."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from events import schema
from events.journal.joins import EXPOSURE
from workloads.simulation.day import Moment, instant

COLUMNS = ("request_id", "user_id", "item_id", "session_id", "surface", "position", "action", "ms_played", "ts")


def compared(moments: Sequence[Moment], events: pa.Table) -> dict[str, Any]:
    """Compare the collected events of some moments with the world, row by row.

    Args:
        moments: What happened.
        events: The imported events, which may hold others.

    Returns:
        `expected`, how many rows the world says there are; `missing` and `unexpected`, how many of them, and of the
        collected rows, have no equal.
    """
    wanted = Counter(row for moment in moments for row in rows_of(moment))
    requests = pa.array({moment.shown.request_id for moment in moments}, pa.string())
    collected = events.filter(pc.is_in(events["request_id"], requests)).select([*COLUMNS, EXPOSURE.name])
    found = Counter(as_key(row, row[EXPOSURE.name] or {}) for row in collected.to_pylist())
    return {
        "expected": wanted.total(),
        "missing": (wanted - found).total(),
        "unexpected": (found - wanted).total(),
    }


def rows_of(moment: Moment) -> list[tuple[Any, ...]]:
    """Return the events of a moment as the collected table has them. An impression has the time of its decision."""
    surface, decided = schema.SURFACES[moment.visit.surface], instant(moment.visit.at)
    rows = []
    for event in moment.events:
        impression = event["action"] == schema.IMPRESSION
        row = {
            **event,
            "surface": surface,
            "position": int(event["event_id"].split(":")[1]),
            "ts": decided if impression else decided.fromisoformat(event["ts"]),
        }
        slot = row["position"] - 1
        rows.append(as_key(row, {"row": moment.page.row[0, slot], "column": moment.page.column[0, slot]}))
    return rows


def as_key(event: Mapping[str, Any], place: Mapping[str, int]) -> tuple[Any, ...]:
    """Return what is compared of an event: its columns, and the row and column of its exposure."""
    return (*(event[name] for name in COLUMNS), place.get("row"), place.get("column"))

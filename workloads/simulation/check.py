"""Compare what was collected with what the world says was shown and done."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from events import schema
from events.journal.joins import EXPOSURE, as_json
from events.journal.records import Exposure
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


def compared_exposures(
    moments: Sequence[Moment], events: pa.Table, exposures: Callable[[str], Sequence[Exposure]]
) -> dict[str, int]:
    """Compare the journal's exposures with what listeners were shown, and with what was collected of them.

    Unseen items are exposures too. What stands behind the items of an answer, such as a queue, was not looked at.

    Args:
        moments: What happened.
        events: The imported events, which may hold others.
        exposures: Returns the exposures of a request in the journal.

    Returns:
        `expected`, how many items were shown; `missing` and `unexpected`, how many of them, and of the exposures, have
        no equal; `changed`, how many impressions have other propensities, scores or sources than their exposure.
    """
    wanted, found = Counter[tuple[Any, ...]](), Counter[tuple[Any, ...]]()
    decided: dict[tuple[str, str], tuple[Any, ...]] = {}
    for moment in moments:
        request_id, shown = moment.shown.request_id, moment.shown.rows
        places = [(row, column, item) for row, items in enumerate(shown, 1) for column, item in enumerate(items, 1)]
        wanted.update((request_id, position, *place) for position, place in enumerate(places, 1))
        for one in exposures(request_id):
            if one.position <= len(places):
                found[request_id, one.position, one.row, one.column, one.item_id] += 1
            key = (request_id, f"{schema.SHOWN}{request_id}:{one.position}")
            decided[key] = (one.drawn_chance, one.layout_propensity, as_json(one.scores), list(one.sources))
    requests = pa.array({moment.shown.request_id for moment in moments}, pa.string())
    collected = events.filter(pc.is_in(events["request_id"], requests))
    collected = collected.filter(pc.equal(collected["action"], schema.IMPRESSION))
    changed = 0
    for row in collected.select(["request_id", "event_id", "propensity", EXPOSURE.name]).to_pylist():
        exposure = row[EXPOSURE.name]
        kept = (row["propensity"], *(exposure[name] for name in ("layout_propensity", "scores", "sources")))
        changed += decided.get((row["request_id"], row["event_id"])) != kept
    return {
        "expected": wanted.total(),
        "missing": (wanted - found).total(),
        "unexpected": (found - wanted).total(),
        "changed": changed,
    }

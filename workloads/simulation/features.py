"""The features of a simulated day, held against the point-in-time join."""

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from events import dataset, schema
from events.journal.joins import EXPOSURE
from segue.settings import Home
from surfaces.hydrate import fingerprint
from workloads.monitoring.served import joined_texts


def compared_features(home: Home, since: datetime, now: datetime) -> dict[str, int]:
    """Compare the features that pages were decided with, by their fingerprints, with the join that training makes.

    Args:
        home: the home, whose journal is collected.
        since: the time from which pages count.
        now: the instant up to which the log is complete.

    Returns:
        `requests`, the number of pages with an impression that were served with features; `different`, how many of them
        the join gives other features.
    """
    events = dataset.load(home.data).events()
    decisions = served(events, since)
    if not decisions:
        return {"requests": 0, "different": 0}
    joined = joined_texts(home, events.filter(pc.is_in(events["event_id"], pa.array(decisions))), now)
    different = sum(fingerprint(joined[event_id]) != features for event_id, features in decisions.items())
    return {"requests": len(decisions), "different": different}


def served(events: pa.Table, since: datetime) -> dict[str, str]:
    """Return the fingerprint of each page that was served with features, by the event id of its first impression."""
    shown = events.filter((pc.field("action") == schema.IMPRESSION) & (pc.field("ts") >= since))
    decisions: dict[str, tuple[str, str]] = {}  # by request
    for row in shown.select(["event_id", "request_id", EXPOSURE.name]).to_pylist():
        exposure = row[EXPOSURE.name] or {}
        if exposure.get("features"):
            decisions.setdefault(row["request_id"], (row["event_id"], exposure["features"]))
    return dict(decisions.values())

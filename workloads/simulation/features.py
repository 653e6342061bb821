"""The features of a simulated day: refreshed before it, and afterwards held against the point-in-time join."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc

from events import dataset, schema
from events.ingest import ingest
from events.journal.joins import EXPOSURE
from feature_repo.build import build
from feature_repo.feast_store import publish
from feature_repo.online import refresh
from models.training_config import TrainingConfig
from segue.settings import Home
from surfaces.hydrate import fingerprint
from workloads.monitoring.served import joined_texts


def refresh_features(home: Home, now: datetime) -> None:
    """Bring the collected log online, as the training pipeline does, so that a day is served with the day before it.

    Args:
        home: the home.
        now: the start of the day; the log is complete until then.
    """
    with built(home, now) as (log, tables):
        publish(home, tables)
        refresh(home, log, tables)


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
    tables = dataset.load(home.data)
    events = tables.events()
    decisions = served(events, since)
    if not decisions:
        return {"requests": 0, "different": 0}
    joined = joined_texts(tables, events.filter(pc.is_in(events["event_id"], pa.array(decisions))), now)
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


@contextmanager
def built(home: Home, now: datetime) -> Iterator[tuple[Path, Path]]:
    """Copy the data set and build its feature tables, in folders that last as long as the body."""
    with TemporaryDirectory(prefix="segue-features-") as folder:
        log, tables = Path(folder) / "log", Path(folder) / "tables"
        ingest(home.data, log, TrainingConfig().split)
        build(log, tables, now)
        yield log, tables

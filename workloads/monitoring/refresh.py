"""Refresh the online store each day, so that pages are served with the statistics of the day before.

A snapshot is valid for a day. Without a refresh the models would soon see no statistics, which a training joins.
"""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from events.ingest import MANIFEST, ingest, read_manifest
from events.journal.journal import has_journal
from models.training_config import TrainingConfig
from segue.errors import InputError
from segue.files import write_json
from segue.settings import Home
from stores.settings import settings


def step(home: Home, at: datetime) -> bool:
    """Bring the collected log online if the newest statistics there are not those of the day before `at`.

    Args:
        home: The home, whose journal is collected. No other process brings features online meanwhile.
        at: The time now, UTC.

    Returns:
        Whether it did.

    Raises:
        UnavailableError: The online store does not answer.
    """
    if wanted := due(home, at):
        refresh_features(home, at)
    return wanted


def due(home: Home, at: datetime) -> bool:
    """Return whether a midnight has passed since the online store was filled; False where nothing is served.

    Raises:
        UnavailableError: The online store does not answer.
    """
    if not has_journal(home, settings()):
        return False
    from feature_repo.online import state  # the import of Feast takes seconds

    try:
        filled = datetime.fromisoformat(state(home)["last_event"])
    except InputError:  # no training has been run
        return False
    return filled.astimezone(UTC).date() < at.astimezone(UTC).date()


def refresh_features(home: Home, now: datetime) -> None:
    """Bring the collected log online, as the training pipeline does, with the vocabularies that are online.

    The served models know a genre by its position among these. New genres wait for the next training.

    Args:
        home: The home.
        now: The time now; the log is complete until then.
    """
    from feature_repo.build import build
    from feature_repo.feast_store import publish, published_axes
    from feature_repo.online import refresh

    with TemporaryDirectory(prefix="segue-features-") as folder:
        log, tables = Path(folder) / "log", Path(folder) / "tables"
        ingest(home.data, log, TrainingConfig().split)
        manifest = read_manifest(log)
        write_json(
            log / MANIFEST, {**manifest, "collected": {**manifest.get("collected", {}), "until": now.isoformat()}}
        )
        build(log, tables, now, published_axes(home))
        publish(home, tables)
        refresh(home, log, tables)

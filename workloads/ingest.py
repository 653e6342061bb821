"""Ingest: collect the journal, copy the log into the run and split it by global time, once for all models."""

from contextlib import closing
from pathlib import Path

from events.dataset import MANIFEST
from events.ingest import ingest
from events.journal.collect import CURSOR, collect
from events.journal.journal import Journal, has_journal, keeping_of
from segue.clock import utc_now
from segue.files import read_json
from segue.settings import Home
from stores import parts
from stores.settings import settings
from workloads.run import Run


def step(run: Run, ingested: Path) -> dict:
    """Collect what the journal has, copy the imported data set into the run and split it.

    Returns:
        `dataset` and `sha256` of the imported data set.
    """
    with run.step(__name__, reads=(parts.DATA,)) as result:
        result["journal"] = collected(run.home)
        result["listened"] = listened(run.home)
        result.update(ingest(run.home.data, ingested, run.config.split))
        return {name: result[name] for name in ("dataset", "sha256")}


def listened(home: Home) -> bool:
    """Return whether the data set holds what listeners did with what they were served."""
    manifest = home.data / MANIFEST
    return manifest.is_file() and CURSOR in (read_json(manifest).get("collected") or {})


def collected(home: Home) -> dict:
    """Collect the journal into the data set, if there are both; return what came (see `collect`).

    Nothing is dropped from the journal: `segue data collect` does that, and says from which age on.
    """
    now = settings()
    if not has_journal(home, now) or not (home.data / "manifest.json").is_file():
        return {}
    with closing(Journal(keeping_of(home, now))) as journal:
        return parts.change(home, parts.DATA, lambda: collect(journal, home.data, until=utc_now()))

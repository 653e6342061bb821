"""Ingest: copy the log into the run and split it by global time, once for all models."""

from pathlib import Path

from events.ingest import ingest
from stores import parts
from workloads.run import Run


def step(run: Run, ingested: Path) -> dict:
    """Copy the imported data set into the run and split it.

    Returns:
        `dataset` and `sha256` of the imported data set.
    """
    with run.step(__name__, reads=(parts.DATA,)) as result:
        result.update(ingest(run.home.data, ingested, run.config.split))
        return {name: result[name] for name in ("dataset", "sha256")}

"""Ingest: the run's own copy of the log, cut by global time."""

from kfp.dsl import Dataset, Output

from components.base import component


@component
def ingest(home: str, run_id: str, config: dict, ingested: Output[Dataset]):
    """Copy the imported data set into the run and cut it once for all models."""
    from pathlib import Path

    from workloads import ingest
    from workloads.run import Run

    ingested.metadata.update(ingest.step(Run.of(home, run_id, config), Path(ingested.path)))

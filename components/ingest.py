"""Ingest: copy the log into the run and split it by global time, once for all models."""

from kfp.dsl import Dataset, Output

from components.base import component


@component
def ingest(config: dict, ingested: Output[Dataset]):
    """Copy the imported data set into the run and split it."""
    from pathlib import Path

    from workloads import ingest
    from workloads.run import Run

    ingested.metadata.update(ingest.step(Run.now(config), Path(ingested.path)))

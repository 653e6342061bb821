"""Ingest: the run's own copy of the log, cut by global time."""

from kfp.dsl import Dataset, Output

from components.base import component


@component
def ingest(home: str, run_id: str, config: dict, ingested: Output[Dataset]):
    """Copy the imported data set into the run and cut it once for all models."""
    from components.step import step

    with step(home, run_id, "ingest") as result:
        from pathlib import Path

        from events.ingest import ingest
        from models.config import TrainingConfig
        from segue.settings import Home

        split = TrainingConfig.from_dict(config).split
        result.update(ingest(Home.at(home).data, Path(ingested.path), split))
        ingested.metadata.update({name: result[name] for name in ("dataset", "sha256")})

"""Build features: compute the snapshots of the log, one table for each Feast view."""

from kfp.dsl import Dataset, Input, Output

from components.base import component


@component
def build_features(ingested: Input[Dataset], features: Output[Dataset]):
    """Compute the feature tables of the run's log."""
    from pathlib import Path

    from workloads import build_features
    from workloads.run import Run

    build_features.step(Run.now(), Path(ingested.path), Path(features.path))

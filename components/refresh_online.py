"""Refresh online: write the newest snapshots, and the interactions since, to the online store."""

from kfp.dsl import Dataset, Input

from components.base import component


@component
def refresh_online(ingested: Input[Dataset], features: Input[Dataset]):
    """Publish the feature tables, and write the features that serving reads online."""
    from pathlib import Path

    from workloads import refresh_online
    from workloads.run import Run

    refresh_online.step(Run.now(), Path(ingested.path), Path(features.path))

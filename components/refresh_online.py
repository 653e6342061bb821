"""Refresh online: the newest snapshots and what happened since into the online store."""

from kfp.dsl import Dataset, Input

from components.base import component


@component
def refresh_online(home: str, run_id: str, ingested: Input[Dataset], features: Input[Dataset]):
    """Materialize the features that serving reads."""
    from components.step import step

    with step(home, run_id, "refresh-online") as result:
        from pathlib import Path

        from feature_repo.online import refresh
        from segue.settings import Home

        result.update(refresh(Home.at(home), Path(ingested.path), Path(features.path)))

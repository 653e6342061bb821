"""Refresh online: the newest snapshots, and what happened since, into the online store."""

from pathlib import Path

from workloads.run import Run


def step(run: Run, ingested: Path, features: Path) -> None:
    """Publish the run's feature tables to the feature store and materialize what serving reads."""
    from feature_repo.feast_store import publish
    from feature_repo.online import refresh

    with run.step(__name__) as result:
        publish(run.home, features)
        result.update(refresh(run.home, ingested, features))

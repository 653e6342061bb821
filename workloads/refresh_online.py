"""Refresh online: write the newest snapshots, and the interactions since, to the online store."""

from pathlib import Path

from workloads.run import Run


def step(run: Run, ingested: Path, features: Path) -> None:
    """Publish the run's feature tables to the feature store, and write the features that serving reads online."""
    from feature_repo.feast_store import publish
    from feature_repo.online import refresh

    with run.step(__name__) as result:
        publish(run.home, features)
        result.update(refresh(run.home, ingested, features))

"""Build features: compute the snapshots of the log, one table for each Feast view."""

from pathlib import Path

from events.ingest import complete_until, read_manifest
from workloads.run import Run


def step(run: Run, ingested: Path, features: Path) -> None:
    """Compute the feature tables of a run's log into the folder `features`."""
    from feature_repo.build import build

    with run.step(__name__) as result:
        result.update(build(ingested, features, complete_until(read_manifest(ingested))))

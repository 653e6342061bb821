"""Build features: compute the snapshots of the log, one table for each Feast view."""

from pathlib import Path

import pyarrow.parquet as pq

from events.dataset import identity
from events.ingest import complete_until, read_manifest
from workloads.run import Run


def step(run: Run, ingested: Path, features: Path) -> None:
    """Compute the feature tables of a run's log into the folder `features`.

    Their vocabularies extend those that are online, so that the served models find each genre at its place as soon as
    the tables are published, and also if the run pushes no model.
    """
    from feature_repo.build import build, vocabularies
    from feature_repo.feast_store import published_axes

    with run.step(__name__) as result:
        manifest = read_manifest(ingested)
        items = pq.read_table(ingested / "items.parquet", columns=["genres", "content_type"])
        axes = vocabularies(items, identity(manifest), published_axes(run.home))
        result.update(build(ingested, features, complete_until(manifest), axes))

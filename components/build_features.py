"""Build features: every snapshot of the log, registered with Feast."""

from kfp.dsl import Dataset, Input, Output

from components.base import component


@component
def build_features(home: str, run_id: str, ingested: Input[Dataset], features: Output[Dataset]):
    """Compute the feature tables and publish them to the feature store."""
    from components.step import step

    with step(home, run_id, "build-features") as result:
        from pathlib import Path

        from feature_repo.build import build
        from feature_repo.store import publish
        from segue.settings import Home

        result.update(build(Path(ingested.path), Path(features.path)))
        publish(Home.at(home), Path(features.path))

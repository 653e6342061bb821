"""Make training set: join labelled examples with their features through Feast, as of each example's time."""

from pathlib import Path
from typing import Any

from workloads.run import Run


def step(run: Run, ingested: Path, features: Path, training_set: Path) -> None:
    """Make the run's training set from its log and its feature tables."""
    with run.step(__name__) as result:
        result.update(make(ingested, features, training_set))


def make(ingested: Path, features: Path, training_set: Path) -> dict[str, Any]:
    """Join feature tables to a log's examples, and fit the vocabularies that every trainer reads.

    Returns:
        The training set's manifest.
    """
    from feature_repo.feast_store import store_over
    from feature_repo.training import make_training_set
    from workloads.training_set import write_vocabularies

    with store_over(features) as store:
        manifest = make_training_set(store, ingested, features, training_set)
    write_vocabularies(training_set)
    return manifest

"""Training set: labelled examples joined point in time with the features."""

from kfp.dsl import Dataset, Input, Output

from components.base import component


@component
def make_training_set(
    home: str,
    run_id: str,
    ingested: Input[Dataset],
    features: Input[Dataset],
    training_set: Output[Dataset],
):
    """Join features to examples through Feast, as of each example's time."""
    from components.step import step

    with step(home, run_id, "training-set") as result:
        from pathlib import Path

        from feature_repo.store import open_store
        from feature_repo.training import make_training_set
        from segue.settings import Home

        store = open_store(Home.at(home))
        paths = (Path(artifact.path) for artifact in (ingested, features, training_set))
        result.update(make_training_set(store, *paths))

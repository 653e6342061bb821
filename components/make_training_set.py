"""Make training set: join labelled examples with their features through Feast, as of each example's time."""

from kfp.dsl import Dataset, Input, Output

from components.base import component


@component
def make_training_set(
    ingested: Input[Dataset],
    features: Input[Dataset],
    training_set: Output[Dataset],
):
    """Join features to examples through Feast, as of each example's time."""
    from pathlib import Path

    from workloads import make_training_set
    from workloads.run import Run

    folders = (Path(artifact.path) for artifact in (ingested, features, training_set))
    make_training_set.step(Run.now(), *folders)

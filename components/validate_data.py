"""Validate data: compare the newest span with a reference by TFDV, and replay features to find future leaks."""

from kfp.dsl import HTML, Dataset, Input, Output

from components.base import component


@component
def validate_data(
    ingested: Input[Dataset],
    features: Input[Dataset],
    training_set: Input[Dataset],
    page: Output[HTML],
    reference: Output[Dataset],
) -> bool:
    """Return whether the newest span may be trained on."""
    from pathlib import Path

    from workloads import validate_data
    from workloads.run import Run

    folders = (Path(artifact.path) for artifact in (ingested, features, training_set, page, reference))
    return validate_data.step(Run.now(), *folders)

"""Infra-validate: load the candidates in the model server and send them real requests."""

from kfp.dsl import Dataset, Input, Model, Output

from components.base import component


@component
def infra_validate(
    config: dict,
    training_set: Input[Dataset],
    retrieval: Input[Model],
    ranking: Input[Model],
    sequence: Input[Model],
    requests: Output[Dataset],
) -> bool:
    """Return whether the model server can load and serve the run's models."""
    from pathlib import Path

    from workloads import infra_validate
    from workloads.run import Run, paths

    models = paths(retrieval=retrieval, ranking=ranking, sequence=sequence)
    run = Run.now(config)
    return infra_validate.step(run, Path(training_set.path), models, Path(requests.path))

"""Register: record the run, its lineage and its models in MLflow; the models become challengers."""

from kfp.dsl import Input, Model

from components.base import component


@component
def register(
    home: str, run_id: str, config: dict, retrieval: Input[Model], ranking: Input[Model], sequence: Input[Model]
) -> dict:
    """Keep the run's models as new versions of the registered models."""
    from workloads import register
    from workloads.run import Run, paths

    models = paths(retrieval=retrieval, ranking=ranking, sequence=sequence)
    return register.step(Run.of(home, run_id, config), models)

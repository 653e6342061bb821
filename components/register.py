"""Register: record the run, its lineage and its pushed models in MLflow; the aliases follow the labels."""

from components.base import component


@component
def register(config: dict, version: int):
    """Keep the run's models as new versions of the registered models."""
    from workloads import register
    from workloads.run import Run

    register.step(Run.now(config), version)

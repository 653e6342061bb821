"""Trial: train a model of a search on the train span and judge it on the validation span."""

from kfp.dsl import Dataset, Input

from components.base import component


@component
def trial(config: dict, training_set: Input[Dataset], catalogue: Input[Dataset], planned: dict) -> dict:
    """Train and judge a trial. Its model is not kept."""
    from pathlib import Path

    from workloads.run import Run
    from workloads.search import trial

    return trial.step(Run.now(config), Path(training_set.path), Path(catalogue.path), planned)

"""Train retrieval: fit a TensorFlow Recommenders model and export it with its signatures."""

from kfp.dsl import Dataset, Input, Model, Output

from components.base import component


@component
def train_retrieval(config: dict, training_set: Input[Dataset], model: Output[Model]):
    """Fit the retrieval model on the train span, starting from the champion's weights, and write its SavedModel."""
    from pathlib import Path

    from workloads.run import Run
    from workloads.training import train_retrieval

    train_retrieval.step(Run.now(config), Path(training_set.path), Path(model.path))

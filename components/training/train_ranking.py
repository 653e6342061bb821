"""Train ranking: fit a TensorFlow Recommenders model and export it with its signatures."""

from kfp.dsl import Dataset, Input, Model, Output

from components.base import component


@component
def train_ranking(
    config: dict,
    training_set: Input[Dataset],
    retrieval: Input[Model],
    sequence: Input[Model],
    model: Output[Model],
):
    """Fit the ranking model on the train span and on the candidates of the other two models."""
    from pathlib import Path

    from workloads.run import Run
    from workloads.training import train_ranking

    paths = (Path(artifact.path) for artifact in (training_set, retrieval, sequence, model))
    train_ranking.step(Run.now(config), *paths)

"""Train retrieval: a TensorFlow Recommenders model, exported with its signatures."""

from kfp.dsl import Dataset, Input, Model, Output

from components.base import component


@component
def train_retrieval(home: str, run_id: str, config: dict, training_set: Input[Dataset], model: Output[Model]):
    """Fit the retrieval model on the train span and write its SavedModel."""
    from components.step import step

    with step(home, run_id, "train-retrieval") as result:
        from pathlib import Path

        from models.config import TrainingConfig
        from models.workloads import train_retrieval

        settings = TrainingConfig.from_dict(config)
        result.update(train_retrieval(Path(training_set.path), run_id, settings, Path(model.path)))

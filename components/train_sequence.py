"""Train the sequence model: a transformer over what listeners did, exported with its signatures."""

from kfp.dsl import Dataset, Input, Model, Output

from components.base import component


@component
def train_sequence(home: str, run_id: str, config: dict, training_set: Input[Dataset], model: Output[Model]):
    """Fit the sequence model on the train span, from the champion's weights on, and write its SavedModel."""
    from components.step import step

    with step(home, run_id, "train-sequence") as result:
        from pathlib import Path

        from models.config import TrainingConfig
        from models.sequence.workload import train_sequence
        from models.workloads import warm_champion
        from segue.settings import Home
        from serving.store import stable

        settings = TrainingConfig.from_dict(config)
        place = Home.at(home)
        source = Path(training_set.path)
        champion = warm_champion(stable(place.models), "sequence", source) if settings.warm_start else None
        # A step that is run again after a kill goes on from its last epoch.
        checkpoints = place.run(run_id) / "checkpoints" / "sequence"
        result.update(train_sequence(source, run_id, settings, Path(model.path), champion, checkpoints))

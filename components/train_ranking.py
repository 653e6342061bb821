"""Train ranking: a TensorFlow Recommenders model, exported with its signatures."""

from kfp.dsl import Dataset, Input, Model, Output

from components.base import component


@component
def train_ranking(
    home: str,
    run_id: str,
    config: dict,
    training_set: Input[Dataset],
    retrieval: Input[Model],
    sequence: Input[Model],
    model: Output[Model],
):
    """Fit the ranking model on the train span, from the champion's weights on, and to the others' candidates."""
    from components.step import step

    with step(home, run_id, "train-ranking") as result:
        from pathlib import Path

        from models.config import TrainingConfig
        from models.workloads import train_ranking, warm_champion
        from segue.settings import Home
        from serving.store import stable

        settings = TrainingConfig.from_dict(config)
        place = Home.at(home)
        source = Path(training_set.path)
        champion = warm_champion(stable(place.models), "ranking", source) if settings.warm_start else None
        # A step that is run again after a kill goes on from its last epoch.
        checkpoints = place.run(run_id) / "checkpoints" / "ranking"
        sources = {"retrieval": Path(retrieval.path), "sequence": Path(sequence.path)}
        result.update(train_ranking(source, sources, run_id, settings, Path(model.path), champion, checkpoints))

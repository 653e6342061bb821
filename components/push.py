"""Push: the models into the store that the server watches, whole or not at all."""

from kfp.dsl import Dataset, Input, Model

from components.base import component


@component
def push(
    home: str,
    run_id: str,
    config: dict,
    training_set: Input[Dataset],
    retrieval: Input[Model],
    ranking: Input[Model],
    sequence: Input[Model],
    versions: dict,
) -> int:
    """Push one new version of all models, with warm-up requests, and keep what later runs are held against."""
    from components.step import step

    with step(home, run_id, "push") as result:
        from pathlib import Path

        from models.card import read_card
        from models.config import TrainingConfig
        from models.frames import prediction_frame, scalar_frame
        from models.workloads import read_part, sample_requests
        from monitoring.validation import make_reference, save_reference
        from segue.files import atomic_path
        from segue.settings import Home
        from serving.registry import crown
        from serving.store import push

        place = Home.at(home)
        models = {"retrieval": Path(retrieval.path), "ranking": Path(ranking.path), "sequence": Path(sequence.path)}
        seed = TrainingConfig.from_dict(config).seed
        test = read_part(Path(training_set.path), "test")
        frame = prediction_frame(models["ranking"], test, seed)
        reference = make_reference(scalar_frame(test))
        # The requests that infra validation saw answered: the server replays them before the version is available.
        warmup = sample_requests(Path(training_set.path), models, seed=seed)
        result["version"] = push(place.models, models, warmup=warmup)
        crown(place.tracking_uri, versions, result["version"])
        save_reference(reference, place.baseline(read_card(models["ranking"])["dataset"]))
        with atomic_path(place.reports / "reference.parquet") as temporary:
            frame.to_parquet(temporary)
        return result["version"]

"""Push: the models into the store that the server watches, whole or not at all."""

from pathlib import Path

from segue.files import atomic_path
from workloads.run import Run


def step(run: Run, training_set: Path, models: dict[str, Path], requests: Path, versions: dict[str, str]) -> int:
    """Push one new version of all models, and keep what later runs are held against.

    Args:
        run: the pipeline run.
        training_set: its training set.
        models: its SavedModels by name.
        requests: what infra validation saw answered; the server replays it before the version is available.
        versions: the models' versions in MLflow.

    Returns:
        The version in the model store.
    """
    from models.evaluation.frames import prediction_frame, scalar_frame
    from models.saved.card import read_card
    from monitoring.validation import make_reference, save_reference
    from serving.protocol import prediction_log
    from serving.store.model_store import push
    from tracking.registry import crown
    from workloads.training_set import read_part

    with run.step(__name__) as result:
        test = read_part(training_set, "test")
        frame = prediction_frame(models["ranking"], test, run.config.seed)
        reference = make_reference(scalar_frame(test))
        warmup = {model: prediction_log.read_inputs(requests / model) for model in models}
        result["version"] = push(run.home.models, models, warmup=warmup)
        crown(run.home.tracking_uri, versions, result["version"])
        save_reference(reference, run.home.baseline(read_card(models["ranking"])["dataset"]))
        with atomic_path(run.home.reference_window) as temporary:
            frame.to_parquet(temporary)
        return result["version"]

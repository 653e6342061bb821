"""The monitoring pipeline: score the newest days with the served model, and look for drift."""

from kfp import dsl

from components.build_features import build_features
from components.detect_drift import detect_drift
from components.ingest import ingest
from components.make_training_set import make_training_set
from components.report import report
from pipelines.placement import placed


@dsl.pipeline(name="monitoring", description="Drift of features and predictions since the last push.")
def monitoring(home: str, run_id: str, config: dict):
    """Compare the newest span with what the served model was pushed on.

    Args:
        home: folder of all state, the same for every step (a mounted volume on a cluster).
        run_id: names the run's folder under `runs/`.
        config: `TrainingConfig.to_dict()`; its split says what the newest span is.
    """
    place = {"home": home, "run_id": run_id}
    reported = placed(report(**place, config=config)).set_caching_options(False)
    with dsl.ExitHandler(reported):
        log = placed(ingest(**place, config=config)).set_caching_options(False).outputs["ingested"]
        tables = placed(build_features(**place, ingested=log)).outputs["features"]
        examples = placed(make_training_set(**place, ingested=log, features=tables)).outputs["training_set"]
        placed(detect_drift(**place, config=config, training_set=examples))

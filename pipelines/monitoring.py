"""The monitoring pipeline: score the newest days with the served model, and look for drift."""

from kfp import dsl

from components.build_features import build_features
from components.detect_drift import detect_drift
from components.ingest import ingest
from components.make_training_set import make_training_set
from components.report import report
from pipelines.placement import mount_home


@dsl.pipeline(name="monitoring", description="Drift of features and predictions since the last push.")
def monitoring(home: str, run_id: str, config: dict):
    """Compare the newest span with the span that the served model was pushed on.

    Args:
        home: the folder of all state, the same for every step. On a cluster it is a mounted volume.
        run_id: the name of the run's folder under `runs/`.
        config: `TrainingConfig.to_dict()`; its split defines the newest span.
    """
    run = {"home": home, "run_id": run_id}
    report_task = mount_home(report(**run, config=config)).set_caching_options(False)
    with dsl.ExitHandler(report_task):
        log = mount_home(ingest(**run, config=config)).set_caching_options(False).outputs["ingested"]
        tables = mount_home(build_features(**run, ingested=log)).outputs["features"]
        examples = mount_home(make_training_set(**run, ingested=log, features=tables)).outputs["training_set"]
        mount_home(detect_drift(**run, config=config, training_set=examples))

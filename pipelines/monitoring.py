"""The monitoring pipeline: score the newest days with the served model, and look for drift."""

from kfp import dsl

from components.build_features import build_features
from components.detect_drift import detect_drift
from components.ingest import ingest
from components.make_training_set import make_training_set
from components.report import report
from pipelines.placement import place_steps


@dsl.pipeline(name="monitoring", description="Drift of features and predictions since the stable models were pushed.")
def monitoring(config: dict):
    """Compare the newest span with the span that the stable models were pushed on.

    Args:
        config: `TrainingConfig.to_dict()`; its split defines the newest span.
    """
    report_task = report(config=config)
    with dsl.ExitHandler(report_task):
        log = ingest(config=config).outputs["ingested"]
        tables = build_features(ingested=log).outputs["features"]
        examples = make_training_set(ingested=log, features=tables).outputs["training_set"]
        detect_drift(config=config, training_set=examples)
    place_steps()

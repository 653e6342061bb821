"""The monitoring pipeline: check the newest day and decide whether to retrain; compare the newest days by Evidently."""

from kfp import dsl

from components.build_features import build_features
from components.detect_drift import detect_drift
from components.ingest import ingest
from components.make_training_set import make_training_set
from components.monitor import monitor
from components.report import report
from pipelines.placement import place_steps


@dsl.pipeline(
    name="monitoring", description="Checks of the newest day, the decision to retrain, and drift since a push."
)
def monitoring(config: dict):
    """Check the newest day and decide; compare the newest span with the span that the stable models were pushed on.

    Args:
        config: `TrainingConfig.to_dict()`; its split defines the newest span.
    """
    report_task = report(config=config)
    with dsl.ExitHandler(report_task):
        collected = ingest(config=config)
        monitor(config=config).after(collected)
        log = collected.outputs["ingested"]
        tables = build_features(ingested=log).outputs["features"]
        examples = make_training_set(ingested=log, features=tables).outputs["training_set"]
        detect_drift(config=config, training_set=examples)
    place_steps()

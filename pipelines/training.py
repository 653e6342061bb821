"""The training pipeline: from the event log to a pushed model, past every gate."""

from kfp import dsl

from components.build_features import build_features
from components.evaluate import evaluate
from components.infra_validate import infra_validate
from components.ingest import ingest
from components.make_training_set import make_training_set
from components.push import push
from components.refresh_online import refresh_online
from components.register import register
from components.report import report
from components.train_ranking import train_ranking
from components.train_retrieval import train_retrieval
from components.train_sequence import train_sequence
from components.validate_data import validate_data
from pipelines.placement import mount_home


@dsl.pipeline(name="training", description="Features, gates, training, evaluation and push of all models.")
def training(home: str, run_id: str, config: dict):
    """Train all models and push them if they pass every gate.

    Args:
        home: the folder of all state, the same for every step. On a cluster it is a mounted volume.
        run_id: the name of the run's folder under `runs/`.
        config: `TrainingConfig.to_dict()`.
    """
    run = {"home": home, "run_id": run_id}
    report_task = mount_home(report(**run, config=config)).set_caching_options(False)
    with dsl.ExitHandler(report_task):
        log = mount_home(ingest(**run, config=config)).set_caching_options(False).outputs["ingested"]
        tables = mount_home(build_features(**run, ingested=log)).outputs["features"]
        examples = mount_home(make_training_set(**run, ingested=log, features=tables)).outputs["training_set"]
        validation = mount_home(validate_data(**run, ingested=log, features=tables, training_set=examples))
        with dsl.If(validation.outputs["Output"] == True, name="data-valid"):  # noqa: E712
            refreshed = mount_home(refresh_online(**run, ingested=log, features=tables))

            inputs = {"config": config, "training_set": examples}
            # A refresh takes seconds; if it fails, nothing trains, and no model is pushed beside old features.
            sources = {
                "retrieval": mount_home(train_retrieval(**run, **inputs)).after(refreshed).outputs["model"],
                "sequence": mount_home(train_sequence(**run, **inputs)).after(refreshed).outputs["model"],
            }
            ranking = mount_home(train_ranking(**run, **inputs, **sources)).outputs["model"]
            models = {**sources, "ranking": ranking}
            evaluation = mount_home(evaluate(**run, **inputs, **models))
            with dsl.If(evaluation.outputs["Output"] == True, name="blessed"):  # noqa: E712
                infra_validation = mount_home(infra_validate(**run, **inputs, **models))
                with dsl.If(infra_validation.outputs["Output"] == True, name="servable"):  # noqa: E712
                    artifacts = {
                        "requests": infra_validation.outputs["requests"],
                        "reference": validation.outputs["reference"],
                        "window": evaluation.outputs["window"],
                    }
                    pushed = mount_home(push(**run, config=config, **models, **artifacts))
                    # After the push, which must not depend on MLflow.
                    mount_home(register(**run, config=config, version=pushed.output)).set_caching_options(False)

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
from components.training.learn_layout import learn_layout
from components.training.train_ranking import train_ranking
from components.training.train_retrieval import train_retrieval
from components.training.train_sequence import train_sequence
from components.validate_data import validate_data
from pipelines.placement import place_steps


@dsl.pipeline(
    name="training", description="Features, gates, training, evaluation and push of all models, and Home's layout."
)
def training(config: dict):
    """Train all models and push them if they pass every gate; learn Home's layout policy where pages were collected.

    Args:
        config: `TrainingConfig.to_dict()`.
    """
    report_task = report(config=config)
    with dsl.ExitHandler(report_task):
        log = ingest(config=config).outputs["ingested"]
        tables = build_features(ingested=log).outputs["features"]
        examples = make_training_set(ingested=log, features=tables).outputs["training_set"]
        validation = validate_data(ingested=log, features=tables, training_set=examples)
        with dsl.If(validation.outputs["Output"] == True, name="data-valid"):  # noqa: E712
            refreshed = refresh_online(ingested=log, features=tables)

            inputs = {"config": config, "training_set": examples}
            # A refresh takes seconds; if it fails, nothing trains, and no model is pushed beside old features.
            sources = {
                "retrieval": train_retrieval(**inputs).after(refreshed).outputs["model"],
                "sequence": train_sequence(**inputs).after(refreshed).outputs["model"],
            }
            ranking = train_ranking(**inputs, **sources).outputs["model"]
            models = {**sources, "ranking": ranking}
            evaluation = evaluate(**inputs, **models)
            learn_layout(config=config, ingested=log).after(evaluation)  # its failure does not keep models back
            with dsl.If(evaluation.outputs["Output"] == True, name="blessed"):  # noqa: E712
                infra_validation = infra_validate(**inputs, **models)
                with dsl.If(infra_validation.outputs["Output"] == True, name="servable"):  # noqa: E712
                    artifacts = {
                        "requests": infra_validation.outputs["requests"],
                        "reference": validation.outputs["reference"],
                        "window": evaluation.outputs["window"],
                    }
                    pushed = push(config=config, **models, **artifacts)
                    # After the push, which must not depend on MLflow.
                    register(config=config, version=pushed.output)
    place_steps()

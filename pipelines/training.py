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
from pipelines.placement import placed


@dsl.pipeline(name="training", description="Features, gates, training, evaluation and push of all models.")
def training(home: str, run_id: str, config: dict):
    """Train all models and push them if every gate says yes.

    Args:
        home: folder of all state, the same for every step (a mounted volume on a cluster).
        run_id: names the run's folder under `runs/`.
        config: `TrainingConfig.to_dict()`.
    """
    place = {"home": home, "run_id": run_id}
    reported = placed(report(**place, config=config)).set_caching_options(False)
    with dsl.ExitHandler(reported):
        log = placed(ingest(**place, config=config)).set_caching_options(False).outputs["ingested"]
        tables = placed(build_features(**place, ingested=log)).outputs["features"]
        examples = placed(make_training_set(**place, ingested=log, features=tables)).outputs["training_set"]
        valid = placed(validate_data(**place, ingested=log, features=tables, training_set=examples))
        with dsl.If(valid.outputs["Output"] == True, name="data-valid"):  # noqa: E712
            placed(refresh_online(**place, ingested=log, features=tables))

            trained = {"config": config, "training_set": examples}
            finding = {
                "retrieval": placed(train_retrieval(**place, **trained)).outputs["model"],
                "sequence": placed(train_sequence(**place, **trained)).outputs["model"],
            }
            ranking = placed(train_ranking(**place, **trained, **finding)).outputs["model"]
            models = {**finding, "ranking": ranking}
            blessed = placed(evaluate(**place, **trained, **models))
            with dsl.If(blessed.outputs["Output"] == True, name="blessed"):  # noqa: E712
                servable = placed(infra_validate(**place, **trained, **models))
                with dsl.If(servable.outputs["Output"] == True, name="servable"):  # noqa: E712
                    registered = placed(register(**place, config=config, **models))
                    kept = {
                        "requests": servable.outputs["requests"],
                        "reference": valid.outputs["reference"],
                        "window": blessed.outputs["window"],
                    }
                    placed(push(**place, config=config, **models, **kept, versions=registered.output))

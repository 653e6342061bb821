"""Register: the run, its lineage and its models in MLflow, as challenger."""

from kfp.dsl import Input, Model

from components.base import component


@component
def register(
    home: str, run_id: str, config: dict, retrieval: Input[Model], ranking: Input[Model], sequence: Input[Model]
) -> dict:
    """Keep the candidates as new versions of the registered models."""
    from components.step import step

    with step(home, run_id, "register") as result:
        from pathlib import Path

        from models.card import read_card
        from models.report import flat_metrics
        from segue.files import read_json
        from segue.settings import Home
        from serving.registry import log_run, register, text_tags

        place = Home.at(home)
        run = place.run(run_id)
        models = {"retrieval": Path(retrieval.path), "ranking": Path(ranking.path), "sequence": Path(sequence.path)}
        metrics = flat_metrics(read_json(run / "evaluation.json"))
        card = read_card(models["ranking"])
        tags = text_tags({name: card[name] for name in ("dataset", "sha256", "split", "run_id")})
        reports = [run / "evaluation.json", run / "evaluation.md", run / "validation.json"]
        uri = place.tracking_uri
        logged = log_run(uri, place.mlflow / "artifacts", run_id, config, metrics, tags, reports)
        result.update(mlflow_run=logged, versions=register(uri, logged, models, tags))
        return result["versions"]

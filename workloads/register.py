"""Register: record the run, its lineage and its models in MLflow; the models become challengers."""

from pathlib import Path

from segue.files import read_json
from workloads.run import Run


def step(run: Run, models: dict[str, Path]) -> dict[str, str]:
    """Keep the run's models as new versions of the registered models.

    Returns:
        The new version of each model in MLflow.
    """
    from models.evaluation.report import flat_metrics
    from models.saved.card import read_card
    from tracking.registry import register
    from tracking.runs import log_run, text_tags

    with run.step(__name__) as result:
        folder = run.folder
        card = read_card(models["ranking"])
        tags = text_tags({name: card[name] for name in ("dataset", "sha256", "split", "run_id")})
        mlflow_run = log_run(
            run.home.tracking_uri,
            run.home.tracking_artifacts,
            run.id,
            run.parameters,
            flat_metrics(read_json(folder.evaluation)),
            tags,
            [folder.evaluation, folder.evaluation_page, folder.validation],
        )
        result.update(mlflow_run=mlflow_run, versions=register(run.home.tracking_uri, mlflow_run, models, tags))
        return result["versions"]

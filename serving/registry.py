"""The model registry: MLflow keeps every run, its lineage, and which version is challenger or champion."""

from pathlib import Path
from typing import Any

CHALLENGER, CHAMPION = "challenger", "champion"
EXPERIMENT = "segue-training"


def text_tags(values: dict[str, Any]) -> dict[str, str]:
    """Values as MLflow keeps tags: text of at most 5,000 characters."""
    return {name: str(value)[:5000] for name, value in values.items()}


def registered_name(model: str) -> str:
    """A model's name in the registry."""
    return f"segue-{model}"


def log_run(
    tracking_uri: str,
    artifacts: Path,
    name: str,
    params: dict[str, Any],
    metrics: dict[str, float],
    tags: dict[str, str],
    files: list[Path],
) -> str:
    """Record a run.

    Args:
        tracking_uri: where MLflow keeps runs.
        artifacts: where a new experiment keeps its files.
        name: of the run.
        params, metrics, tags: as MLflow shows them.
        files: reports to keep with the run.

    Returns:
        MLflow's id of the run.
    """
    import mlflow

    client = mlflow.MlflowClient(tracking_uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    experiment_id = (
        experiment.experiment_id
        if experiment
        else client.create_experiment(EXPERIMENT, artifact_location=artifacts.resolve().as_uri())
    )
    run = client.create_run(experiment_id, run_name=name, tags=tags)
    run_id = run.info.run_id
    for key, value in params.items():
        client.log_param(run_id, key, value)
    for key, number in metrics.items():
        client.log_metric(run_id, key, number)
    for file in files:
        client.log_artifact(run_id, str(file))
    client.set_terminated(run_id)
    return run_id


def register(tracking_uri: str, run_id: str, saved_models: dict[str, Path], tags: dict[str, str]) -> dict[str, str]:
    """Keep a run's SavedModels as new versions, each the challenger of its model.

    Returns:
        The new version of each model.
    """
    import mlflow

    client = mlflow.MlflowClient(tracking_uri)
    versions = {}
    for model, path in saved_models.items():
        name = registered_name(model)
        client.log_artifacts(run_id, str(path), artifact_path=model)
        if not client.search_registered_models(filter_string=f"name = '{name}'"):
            client.create_registered_model(name)
        source = f"{client.get_run(run_id).info.artifact_uri}/{model}"
        version = client.create_model_version(name, source, run_id, tags=tags).version
        client.set_registered_model_alias(name, CHALLENGER, version)
        versions[model] = str(version)
    return versions


def crown(tracking_uri: str, versions: dict[str, str], store_version: int) -> None:
    """Make a run's versions the champions: they are what the store's label `stable` names now."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri)
    for model, version in versions.items():
        name = registered_name(model)
        client.set_model_version_tag(name, version, "store_version", str(store_version))
        client.set_registered_model_alias(name, CHAMPION, version)
        client.delete_registered_model_alias(name, CHALLENGER)

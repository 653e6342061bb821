"""The model registry: MLflow keeps every run, its lineage, and which version is challenger or champion."""

from pathlib import Path
from typing import Any

CHALLENGER, CHAMPION = "challenger", "champion"
EXPERIMENT, SEARCHES = "segue-training", "segue-search"


def text_tags(values: dict[str, Any]) -> dict[str, str]:
    """Values as MLflow keeps tags: text of at most 5,000 characters."""
    return {name: str(value)[:5000] for name, value in values.items()}


def registered_name(model: str) -> str:
    """A model's name in the registry."""
    return f"segue-{model}"


def create_run(client: Any, experiment: str, artifacts: Path, name: str, tags: dict[str, str]) -> str:
    """Begin a run of an experiment, which is made if it is the first.

    Args:
        client: MLflow's.
        experiment: its name.
        artifacts: where a new experiment keeps its files.
        name, tags: of the run.

    Returns:
        MLflow's id of the run.
    """
    known = client.get_experiment_by_name(experiment)
    experiment_id = (
        known.experiment_id
        if known
        else client.create_experiment(experiment, artifact_location=artifacts.resolve().as_uri())
    )
    return client.create_run(experiment_id, run_name=name, tags=tags).info.run_id


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
    run_id = create_run(client, EXPERIMENT, artifacts, name, tags)
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


def start_search(tracking_uri: str, artifacts: Path, name: str, params: dict[str, Any]) -> str:
    """Begin the run that a search's trials are nested in.

    Returns:
        MLflow's id of the run; `end_search` ends it.
    """
    import mlflow

    client = mlflow.MlflowClient(tracking_uri)
    run_id = create_run(client, SEARCHES, artifacts, name, {})
    for key, value in params.items():
        client.log_param(run_id, key, value)
    return run_id


def log_trial(
    tracking_uri: str,
    search: str,
    name: str,
    params: dict[str, Any],
    history: dict[str, list[float]],
    metrics: dict[str, float],
) -> str:
    """Record a trial, nested in its search.

    Args:
        tracking_uri: where MLflow keeps runs.
        search: MLflow's id of the search.
        name: of the trial.
        params: its settings.
        history: figures by epoch; the first is step 1.
        metrics: what it is judged by.

    Returns:
        MLflow's id of the trial.
    """
    import mlflow
    from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

    client = mlflow.MlflowClient(tracking_uri)
    # The tag nests a run; `start_run(nested=True)` does so only inside of one process.
    tags = {MLFLOW_PARENT_RUN_ID: search}
    run_id = client.create_run(client.get_run(search).info.experiment_id, run_name=name, tags=tags).info.run_id
    for key, value in params.items():
        client.log_param(run_id, key, value)
    for key, figures in history.items():
        for epoch, figure in enumerate(figures, 1):
            client.log_metric(run_id, key, figure, step=epoch)
    for key, figure in metrics.items():
        client.log_metric(run_id, key, figure)
    client.set_terminated(run_id)
    return run_id


def log_best(
    tracking_uri: str, search: str, params: dict[str, Any], metrics: dict[str, float], files: list[Path]
) -> None:
    """Record the best trial's settings and figures with the search, and the reports on it."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri)
    for key, value in params.items():
        client.log_param(search, f"best.{key}", value)
    for key, figure in metrics.items():
        client.log_metric(search, key, figure)
    for file in files:
        client.log_artifact(search, str(file))


def end_search(tracking_uri: str, search: str, tags: dict[str, str], failed: bool) -> None:
    """End a search's run, and say how."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri)
    for key, value in tags.items():
        client.set_tag(search, key, value)
    client.set_terminated(search, "FAILED" if failed else "FINISHED")

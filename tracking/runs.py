"""Record runs in MLflow: training runs, and searches with their trials."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

EXPERIMENT, SEARCHES = "segue-training", "segue-search"  # names of MLflow experiments
MAX_TAG = 5_000  # characters kept of a tag's value


def text_tags(values: dict[str, Any]) -> dict[str, str]:
    """Return values as MLflow's tags: text of at most 5,000 characters."""
    return {name: str(value)[:MAX_TAG] for name, value in values.items()}


def create_run(client: Any, experiment: str, artifacts: Path, name: str, tags: dict[str, str]) -> str:
    """Begin a run of an experiment; the first run also creates the experiment.

    Args:
        client: the `MlflowClient`.
        experiment: the experiment's name.
        artifacts: the folder where a new experiment keeps its files.
        name: the run's name.
        tags: the run's tags.

    Returns:
        MLflow's id of the run.
    """
    existing = client.get_experiment_by_name(experiment)
    experiment_id = (
        existing.experiment_id
        if existing
        else client.create_experiment(experiment, artifact_location=artifacts.resolve().as_uri())
    )
    return client.create_run(experiment_id, run_name=name, tags=tags).info.run_id


def log_values(
    client: Any, run_id: str, params: dict[str, Any], metrics: dict[str, float], files: Sequence[Path] = ()
) -> None:
    """Log settings, figures and reports to a run."""
    for key, value in params.items():
        client.log_param(run_id, key, value)
    for key, figure in metrics.items():
        client.log_metric(run_id, key, figure)
    for file in files:
        client.log_artifact(run_id, str(file))


def log_run(
    tracking_uri: str,
    artifacts: Path,
    name: str,
    params: dict[str, Any],
    metrics: dict[str, float],
    tags: dict[str, str],
    files: list[Path],
) -> str:
    """Record a training run with its figures and reports.

    Args:
        tracking_uri: MLflow's tracking URI.
        artifacts: the folder where a new experiment keeps its files.
        name: the run's name.
        params: the run's settings.
        metrics: the run's figures.
        tags: the run's tags.
        files: reports to keep with the run.

    Returns:
        MLflow's id of the run.
    """
    import mlflow

    client = mlflow.MlflowClient(tracking_uri)
    run_id = create_run(client, EXPERIMENT, artifacts, name, tags)
    log_values(client, run_id, params, metrics, files)
    client.set_terminated(run_id)
    return run_id


def start_search(tracking_uri: str, artifacts: Path, name: str, params: dict[str, Any]) -> str:
    """Begin the run of a search, in which its trials are nested; `end_search` ends it.

    Args:
        tracking_uri: MLflow's tracking URI.
        artifacts: the folder where a new experiment keeps its files.
        name: the search's name.
        params: the search's settings.

    Returns:
        MLflow's id of the search.
    """
    import mlflow

    client = mlflow.MlflowClient(tracking_uri)
    run_id = create_run(client, SEARCHES, artifacts, name, {})
    log_values(client, run_id, params, {})
    return run_id


def log_trial(
    tracking_uri: str,
    search: str,
    name: str,
    params: dict[str, Any],
    history: dict[str, list[float]],
    metrics: dict[str, float],
) -> str:
    """Record a finished trial, nested in its search.

    Args:
        tracking_uri: MLflow's tracking URI.
        search: MLflow's id of the search.
        name: the trial's name.
        params: the trial's settings.
        history: figures by epoch; the first epoch is step 1.
        metrics: the figures by which the trial is judged.

    Returns:
        MLflow's id of the trial.
    """
    import mlflow
    from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

    client = mlflow.MlflowClient(tracking_uri)
    # The tag nests the trial. `start_run(nested=True)` cannot, because the search began in another process.
    tags = {MLFLOW_PARENT_RUN_ID: search}
    run_id = client.create_run(client.get_run(search).info.experiment_id, run_name=name, tags=tags).info.run_id
    for key, figures in history.items():
        for epoch, figure in enumerate(figures, 1):
            client.log_metric(run_id, key, figure, step=epoch)
    log_values(client, run_id, params, metrics)
    client.set_terminated(run_id)
    return run_id


def log_best(
    tracking_uri: str, search: str, params: dict[str, Any], metrics: dict[str, float], files: list[Path]
) -> None:
    """Record the best trial in its search: its settings (named `best.…`), its figures, and the search's reports."""
    import mlflow

    settings = {f"best.{key}": value for key, value in params.items()}
    log_values(mlflow.MlflowClient(tracking_uri), search, settings, metrics, files)


def end_search(tracking_uri: str, search: str, tags: dict[str, str], failed: bool) -> None:
    """End the run of a search, as failed or finished, and tag it."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri)
    for key, value in tags.items():
        client.set_tag(search, key, value)
    client.set_terminated(search, "FAILED" if failed else "FINISHED")

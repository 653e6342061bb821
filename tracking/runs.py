"""Record runs in MLflow: training runs, and searches with their trials."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

EXPERIMENT, SEARCHES = "segue-training", "segue-search"  # names of MLflow experiments
MAX_TAG = 5_000  # characters kept of a tag's value


def text_tags(values: dict[str, Any]) -> dict[str, str]:
    """Return values as MLflow's tags: text of at most 5,000 characters."""
    return {name: str(value)[:MAX_TAG] for name, value in values.items()}


def experiment_id(client: Any, name: str, artifacts: str | None) -> str:
    """Return the id of an experiment; its first run creates it, with the folder for its files."""
    existing = client.get_experiment_by_name(name)
    if existing:
        return existing.experiment_id
    return client.create_experiment(name, artifact_location=artifacts)


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


def earlier_attempt(client: Any, experiment: str, name: str, tags: dict[str, str]) -> str | None:
    """Find the run that an earlier attempt recorded whole, and delete what attempts began and did not end.

    Args:
        client: the `MlflowClient`.
        experiment: `EXPERIMENT` or `SEARCHES`.
        name: the run's name.
        tags: a whole run has all of these tags.

    Returns:
        MLflow's id of the whole run; None without one.
    """
    from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

    existing = client.get_experiment_by_name(experiment)
    if not existing:
        return None
    whole = None
    for run in client.search_runs([existing.experiment_id], f"attributes.run_name = '{name}'"):
        run_id = run.info.run_id
        if run.info.status == "RUNNING":
            nested = client.search_runs([existing.experiment_id], f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run_id}'")
            for begun in (run_id, *(trial.info.run_id for trial in nested)):
                client.delete_run(begun)
        elif run.info.status == "FINISHED" and tags.items() <= run.data.tags.items():
            whole = run_id
    return whole


def log_run(
    client: Any,
    experiment: str,
    artifacts: str | None,
    name: str,
    params: dict[str, Any],
    metrics: dict[str, float],
    tags: dict[str, str],
    files: Sequence[Path],
    failed: bool = False,
    trials: Sequence[dict[str, Any]] = (),
) -> str:
    """Record a run that has ended, with its figures and reports.

    Args:
        client: the `MlflowClient`.
        experiment: `EXPERIMENT` or `SEARCHES`.
        artifacts: the place where a new experiment keeps its files; None leaves the choice to a server.
        name: the run's name.
        params: the run's settings.
        metrics: the run's figures.
        tags: the run's tags.
        files: reports to keep with the run.
        failed: whether the run has failed.
        trials: the trials of a search, which are nested in its run; `log_trial` takes each.

    Returns:
        MLflow's id of the run.
    """
    experiment_of_run = experiment_id(client, experiment, artifacts)
    run_id = client.create_run(experiment_of_run, run_name=name, tags=tags).info.run_id
    log_values(client, run_id, params, metrics, files)
    for trial in trials:
        log_trial(client, experiment_of_run, run_id, **trial)
    client.set_terminated(run_id, "FAILED" if failed else "FINISHED")
    return run_id


def log_trial(
    client: Any,
    experiment: str,
    search: str,
    name: str,
    params: dict[str, Any],
    history: dict[str, list[float]],
    metrics: dict[str, float],
) -> None:
    """Record a trial, nested in its search.

    Args:
        client: the `MlflowClient`.
        experiment: MLflow's id of the experiment.
        search: MLflow's id of the search.
        name: the trial's name.
        params: the trial's settings.
        history: figures by epoch; the first epoch is step 1.
        metrics: the figures by which the trial is judged.
    """
    from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

    run_id = client.create_run(experiment, run_name=name, tags={MLFLOW_PARENT_RUN_ID: search}).info.run_id
    for key, figures in history.items():
        for epoch, figure in enumerate(figures, 1):
            client.log_metric(run_id, key, figure, step=epoch)
    log_values(client, run_id, params, metrics)
    client.set_terminated(run_id)

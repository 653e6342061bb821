"""Sends the records of runs to MLflow, and keeps those that MLflow does not take for a later run."""

from typing import Any

from segue.files import read_json, write_json
from segue.settings import Home, RunFolder
from tracking.address import artifact_location, tracking_uri
from tracking.client import connect, text_of
from tracking.moved_home import relocate
from tracking.registry import register
from tracking.runs import earlier_attempt, log_run


def track(home: Home, run: RunFolder, record: dict[str, Any]) -> dict[str, Any]:
    """Send a run's record to MLflow, after the records of earlier runs that are still unsent.

    The order matters: the registered versions are numbered as they were pushed. A fault of MLflow is no fault of the
    run: the record stays in the run's folder, with the reason.

    Args:
        home: the home of the run.
        run: the run's folder.
        record: the arguments of `tracking.runs.log_run` past the run's name; files are names in the run's folder.
            `version` is the version of the run's models in the model store, if they were pushed.

    Returns:
        MLflow's id of the run as `mlflow_run`, and the `versions` of its models; or `not_tracked`, the reason.
    """
    home.mlflow.mkdir(parents=True, exist_ok=True)
    write_json(run.unsent, record | {"not_tracked": "The run ended while it was sent."})
    sent: dict[str, Any] = {}
    try:
        relocate(home.tracking_database, home.tracking_artifacts)
        waiting = [each for each in home.run_folders() if each.unsent.is_file()]
        for unsent in sorted(waiting, key=lambda each: read_json(each.unsent)["version"] or 0):
            client = connect(tracking_uri(home))  # each time, because a dead server must not be waited for twice
            try:
                sent[unsent.path.name] = send(client, home, unsent)
            except Exception as error:  # MLflow raises whatever its transport raises
                keep(unsent, error)
    except Exception as error:
        keep(run, error)
    if run.path.name in sent:
        return sent[run.path.name]
    reason = read_json(run.unsent)["not_tracked"]
    print(f"not tracked: {reason}", flush=True)
    return {"not_tracked": reason}


def keep(run: RunFolder, error: Exception) -> None:
    """Keep a run's record for a later run, with the reason."""
    write_json(run.unsent, read_json(run.unsent) | {"not_tracked": text_of(error)})


def send(client: Any, home: Home, run: RunFolder) -> dict[str, Any]:
    """Send a run's unsent record to MLflow, and remove it from the run's folder.

    A step that was cut off after MLflow took its record sends it again: the run and its versions are kept.
    """
    record = read_json(run.unsent)
    name, tags = run.path.name, record["tags"]
    recorded = earlier_attempt(client, record["experiment"], name, tags)
    mlflow_run = (record["version"] and recorded) or log_run(
        client,
        record["experiment"],
        artifact_location(home),
        name,
        record["params"],
        record["metrics"],
        tags,
        [run.path / file for file in record["files"] if (run.path / file).is_file()],
        record["failed"],
        record["trials"],
    )
    result: dict[str, Any] = {"mlflow_run": mlflow_run, "versions": {}}
    if version := record["version"]:
        models = {path.parent.name: path for path in sorted(home.models.glob(f"*/{version}"))}  # old ones are removed
        result["versions"] = register(client, mlflow_run, models, tags, version)
    run.unsent.unlink()
    return result

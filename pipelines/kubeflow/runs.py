"""Runs on Kubeflow: submit, find, list and end them, and how each is doing."""

import shutil
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import kfp_server_api

from pipelines import PIPELINES, steps
from pipelines.kubeflow.api import Kubeflow
from pipelines.kubeflow.package import specification
from pipelines.kubeflow.preflight import Installation
from segue.errors import EXIT_FAILED, InputError
from segue.files import read_json, write_json
from segue.settings import RunFolder
from stores import records
from stores.settings import settings
from workloads.outcome import outcome

NEWEST = 100  # runs that are listed
ENDED = {"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"}
TRIAL = "trial"  # the task of a loop, whose records are numbered
NO_RECORD = "Its pod ended before it could record why: too little memory, too little time, or no image."


def submit(installation: Installation, name: str, config: dict[str, Any], image: str, started: datetime) -> str:
    """Start a run.

    Args:
        installation: where.
        name: `training`, `monitoring` or `search`.
        config: the pipeline's configuration.
        image: the image of all steps.
        started: the time of the start, which names the run.

    Returns:
        The id that Kubeflow gives to the run.

    Raises:
        InputError: the API refuses the run.
        UnavailableError: the API does not answer.
    """
    run = kfp_server_api.V2beta1Run(
        display_name=f"{name}-{started:%Y%m%dT%H%M%S}",
        experiment_id=installation.own_experiment(),
        pipeline_spec=specification(name, image),
        runtime_config=kfp_server_api.V2beta1RuntimeConfig(parameters={"config": config}),
    )
    kubeflow = installation.kubeflow
    return str(kubeflow.call(kubeflow.runs.run_service_create_run, run).run_id)


def get(kubeflow: Kubeflow, run_id: str) -> Any:
    """Return a run, as the API tells of it.

    Raises:
        InputError: there is no such run, or the API refuses.
        UnavailableError: the API does not answer.
    """
    return kubeflow.call(kubeflow.runs.run_service_get_run, run_id, subject=f"the run {run_id}")


def listed(installation: Installation) -> list[Any]:
    """Return the newest runs, oldest first.

    Raises: as `Kubeflow.call`.
    """
    experiment = installation.experiment()
    if experiment is None:
        return []
    options = {"experiment_id": experiment, "page_size": NEWEST, "sort_by": "created_at desc"} | installation.where
    kubeflow = installation.kubeflow
    return list(islice(kubeflow.rows(kubeflow.runs.run_service_list_runs, "runs", **options), NEWEST))[::-1]


def chosen(installation: Installation, run_id: str | None) -> Any:
    """Return the run of an id, or the newest run.

    Raises:
        InputError: there is no such run, or the API refuses.
        UnavailableError: the API does not answer.
    """
    if run_id:
        return get(installation.kubeflow, run_id)
    runs = listed(installation)
    if not runs:
        raise InputError("There is no run on this cluster yet.", "Start one: `segue run training --on kfp`.")
    return get(installation.kubeflow, runs[-1].run_id)


def stop(kubeflow: Kubeflow, run_id: str) -> None:
    """End a run with its steps.

    Raises: as `get`.
    """
    kubeflow.call(kubeflow.runs.run_service_terminate_run, run_id, subject=f"the run {run_id}")


def pipeline_of(run: Any) -> str:
    """Return the name of a run's pipeline.

    Raises:
        InputError: it is none of ours.
    """
    spec = (run.pipeline_spec or {}).get("pipeline_spec") or {}
    name = spec.get("pipelineInfo", {}).get("name")
    if name not in PIPELINES:
        raise InputError(
            f"A run is of {', '.join(PIPELINES)}. {run.run_id} is of {name!r}.", "List the runs: `segue run list`."
        )
    return str(name)


def state(kubeflow: Kubeflow, run: Any, folder: RunFolder) -> dict[str, Any]:
    """Return how a run is doing: its `workloads.outcome.outcome`, with status `running` until it has ended.

    The steps' records in the object store have the verdicts and causes. What only Kubeflow knows is added: that a step
    is at work, that its outputs were reused, or that its pod was ended from outside.

    Args:
        kubeflow: the connection.
        run: the run, as the API tells of it.
        folder: a folder named by the run's id, which is made anew with the run's records.

    Raises:
        InputError: the object store refuses, or the run is of none of our pipelines.
        UnavailableError: the object store does not answer.
    """
    shutil.rmtree(folder.path, ignore_errors=True)
    recorded = records.bring(folder)
    for task in tasks(run):
        add(folder, task)
    link = kubeflow.link(run.run_id)
    result = outcome(folder) | {"link": link, "log": link}
    if run.state not in ENDED:
        at_work = [name for name, record in result["steps"].items() if record["status"] == "running"]
        return result | {"status": "running", "reason": at_work[-1] if at_work else str(run.state).lower()}
    if result["status"] == "pushed":
        return result
    if run.state == "CANCELED":
        return result | {"status": "failed", "reason": "It was ended on the cluster."}
    if run.state != "SUCCEEDED" and result["status"] != "failed":
        cause = run.error.message if run.error and run.error.message else "It ended outside of its steps."
        return result | {"status": "failed", "reason": cause}
    if not recorded and result["status"] != "failed":
        place = f"{settings().objects}/{records.prefix(folder)}"
        return result | {"reason": f"no step kept a record in {place}; do the cluster's settings name another place?"}
    return result


def tasks(run: Any) -> Iterator[Any]:
    """Yield those tasks of a run that are steps; drivers and groups are left out."""
    names = {*steps(pipeline_of(run)), TRIAL}
    for task in details(run):
        if task.display_name in names:
            yield task


def add(folder: RunFolder, task: Any) -> None:
    """Add what only Kubeflow knows of a step to the records."""
    name = task.display_name
    path = folder.steps / f"{name}.json"
    record = read_json(path) if path.is_file() else {}
    numbered = [read_json(trial) for trial in folder.steps.glob(f"{TRIAL}-*.json")] if name == TRIAL else []
    began, ended = (time.timestamp() if time else 0.0 for time in (task.start_time, task.end_time))
    # A time that is not there yet is 1970.
    known = {"step": name, "result": {}, "started": began, "seconds": max(0.0, ended - began)} | record
    if task.state == "RUNNING":
        write_json(path, known | {"status": "running"})
    elif task.state == "SUCCEEDED" and not record and not numbered:
        write_json(path, known | {"status": "done", "result": {"reused": True}})
    elif task.state == "FAILED" and "failed" not in (one["status"] for one in (record, *numbered) if one):
        cause = task.error.message if task.error and task.error.message else NO_RECORD
        failed = {"status": "failed", "cause": cause, "fix": "See its pod: `segue run logs --on kfp`."}
        write_json(path, known | failed | {"exit_code": EXIT_FAILED})


def details(run: Any) -> list[Any]:
    """Return all tasks of a run, with drivers, groups and attempts."""
    return (run.run_details.task_details if run.run_details else None) or []

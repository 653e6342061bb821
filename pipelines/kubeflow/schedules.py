"""Recurring runs on Kubeflow: one schedule for each pipeline."""

import re
from typing import Any

import kfp_server_api

from pipelines.kubeflow.package import specification
from pipelines.kubeflow.preflight import Installation
from segue.errors import InputError

CRON_FIELD = re.compile(r"[0-9A-Za-z*/,?#-]+")


def cron_of(text: str) -> str:
    """Return a schedule of five fields as Kubeflow takes it, which has a sixth for seconds before them.

    Kubeflow reads five fields as seconds, minutes, hours, days and months, without an error.

    Raises:
        InputError: it does not have five fields.
    """
    fields = text.split()
    if len(fields) != 5 or not all(map(CRON_FIELD.fullmatch, fields)):
        raise InputError(
            f"--cron has five fields: minute, hour, day, month, day of the week. Received {text!r}.",
            'For each night at three (UTC): --cron "0 3 * * *".',
        )
    return " ".join(["0", *fields])


def fields_of(schedule: Any) -> str:
    """Return the five fields of a schedule; empty if it was made elsewhere by a period."""
    cron = schedule.trigger.cron_schedule if schedule.trigger else None
    return str(cron.cron).removeprefix("0 ") if cron else ""


def listed(installation: Installation) -> list[Any]:
    """Return the schedules of our experiment.

    Raises: as `Kubeflow.call`.
    """
    experiment = installation.experiment()
    if experiment is None:
        return []
    kubeflow = installation.kubeflow
    method = kubeflow.schedules.recurring_run_service_list_recurring_runs
    return list(kubeflow.rows(method, "recurring_runs", experiment_id=experiment, **installation.where))


def scheduled(installation: Installation, name: str) -> list[Any]:
    """Return the schedules of a pipeline: one, or none.

    Raises:
        InputError: the API refuses.
        UnavailableError: the API does not answer.
    """
    return [schedule for schedule in listed(installation) if schedule.display_name == name]


def start(installation: Installation, name: str, config: dict[str, Any], image: str, cron: str) -> str:
    """Run a pipeline again and again, in place of the schedule that it had.

    A run does not start while the one before is at work, and those that were missed are not made up for: each run reads
    the newest data.

    Args:
        installation: where.
        name: `training` or `monitoring`.
        config: the pipeline's configuration.
        image: the image of all steps.
        cron: when, in five fields, in the time of the installation, which is UTC by default.

    Returns:
        The id of the schedule.

    Raises:
        InputError: `cron` is no schedule, or the API refuses.
        UnavailableError: the API does not answer.
    """
    trigger = kfp_server_api.V2beta1Trigger(cron_schedule=kfp_server_api.V2beta1CronSchedule(cron=cron_of(cron)))
    wanted = kfp_server_api.V2beta1RecurringRun(
        display_name=name,
        experiment_id=installation.own_experiment(),
        pipeline_spec=specification(name, image),
        runtime_config=kfp_server_api.V2beta1RuntimeConfig(parameters={"config": config}),
        trigger=trigger,
        mode="ENABLE",
        max_concurrency="1",
        no_catchup=True,
        namespace=installation.namespace,
    )
    before = scheduled(installation, name)
    kubeflow = installation.kubeflow
    made = kubeflow.call(kubeflow.schedules.recurring_run_service_create_recurring_run, wanted)
    for schedule in before:  # only now, so that a refused schedule leaves the old one
        delete(installation, schedule)
    return str(made.recurring_run_id)


def required(installation: Installation, name: str) -> list[Any]:
    """Return the schedules of a pipeline.

    Raises:
        InputError: it has none, or the API refuses.
        UnavailableError: the API does not answer.
    """
    found = scheduled(installation, name)
    if not found:
        raise InputError(
            f"The pipeline {name} has no schedule.", f'Make one: segue run schedule {name} --cron "0 3 * * *".'
        )
    return found


def pause(installation: Installation, name: str) -> None:
    """Let no run of a pipeline start until `resume`.

    Raises: as `required`.
    """
    method = installation.kubeflow.schedules.recurring_run_service_disable_recurring_run
    for schedule in required(installation, name):
        installation.kubeflow.call(method, schedule.recurring_run_id, subject=f"the schedule of {name}")


def resume(installation: Installation, name: str) -> None:
    """Let the runs of a paused pipeline start again.

    Raises: as `required`.
    """
    method = installation.kubeflow.schedules.recurring_run_service_enable_recurring_run
    for schedule in required(installation, name):
        installation.kubeflow.call(method, schedule.recurring_run_id, subject=f"the schedule of {name}")


def remove(installation: Installation, name: str) -> None:
    """Remove the schedule of a pipeline. Its runs stay.

    Raises: as `required`.
    """
    for schedule in required(installation, name):
        delete(installation, schedule)


def delete(installation: Installation, schedule: Any) -> None:
    """Delete a schedule.

    Raises: as `Kubeflow.call`.
    """
    method = installation.kubeflow.schedules.recurring_run_service_delete_recurring_run
    installation.kubeflow.call(method, schedule.recurring_run_id)

"""`segue run schedule`: recurring runs on Kubeflow Pipelines."""

from pathlib import Path

import click

from cli.output import json_option, print_json, print_table
from cli.pipelines import places
from segue.errors import InputError
from segue.settings import image
from segue.terminal import say

HOW = ("cron", "pause", "resume", "delete")


@click.group()
def schedule() -> None:
    """Run training or monitoring again and again on Kubeflow Pipelines. Each pipeline has one schedule."""


def schedule_options(command):
    """Add the options that both pipelines share to a command."""
    for option in (
        click.option("--cron", metavar="FIELDS", help="Minute, hour, day, month and day of the week, in UTC."),
        click.option("--pause", is_flag=True, help="Start no run until --resume."),
        click.option("--resume", is_flag=True, help="Go on after --pause."),
        click.option("--delete", is_flag=True, help="Remove the schedule; its runs stay."),
        click.option("--config", type=click.Path(path_type=Path), help="Settings in YAML; docs/models.md lists them."),
        places.host_option,
        json_option,
    ):
        command = option(command)
    return command


@schedule.command()
@schedule_options
def training(**options) -> None:
    """Schedule the training pipeline, or change its schedule."""
    change("training", **options)


@schedule.command()
@schedule_options
def monitoring(**options) -> None:
    """Schedule the monitoring pipeline, or change its schedule."""
    change("monitoring", **options)


def change(name: str, host: str | None, config: Path | None, as_json: bool, **how) -> None:
    """Make, pause, resume or delete the schedule of a pipeline."""
    from models.training_config import load
    from pipelines.kubeflow import schedules
    from pipelines.kubeflow.preflight import require_data

    asked = [option for option in HOW if how[option]]
    if len(asked) != 1:
        raise InputError(
            f"A schedule takes one of {', '.join(f'--{option}' for option in HOW)}. Received {len(asked)}.",
            'For each night at three: --cron "0 3 * * *".',
        )
    if config is not None and asked != ["cron"]:
        raise InputError(f"--config belongs to --cron. Received --{asked[0]}.", "Leave --config out.")
    settings = load(config).to_dict()
    if how["cron"]:
        schedules.cron_of(how["cron"])  # before any server is asked
    stores, installation = places.cluster(host)
    if how["cron"]:
        require_data(stores)
        schedules.start(installation, name, settings, image(), how["cron"])
    else:
        act = {"pause": schedules.pause, "resume": schedules.resume, "delete": schedules.remove}[asked[0]]
        act(installation, name)
    done = {"cron": f"scheduled at {how['cron']}", "pause": "paused", "resume": "resumed", "delete": "deleted"}[
        asked[0]
    ]
    if as_json:
        print_json({"pipeline": name, "schedule": done})
    else:
        say(f"{name}: {done}")


@schedule.command("list")
@places.host_option
@json_option
def list_(host: str | None, as_json: bool) -> None:
    """List the schedules."""
    from pipelines.kubeflow import schedules

    rows = [
        {
            "pipeline": each.display_name,
            "cron": schedules.fields_of(each),
            "status": str(each.status).lower(),
            "since": f"{each.created_at:%Y-%m-%d %H:%M} UTC",
        }
        for each in schedules.listed(places.cluster(host)[1])
    ]
    if as_json:
        print_json({"schedules": rows})
    elif rows:
        print_table("Schedules", tuple(rows[0]), [tuple(row.values()) for row in rows])
    else:
        say('No schedule yet. Make one: segue run schedule training --cron "0 3 * * *"')

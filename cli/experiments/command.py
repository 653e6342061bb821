"""`segue experiment`: plan, start, look at and stop experiments."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.experiments.tables import show_forecasts, show_list, show_plan, show_report, show_state
from cli.output import json_option, print_json
from segue.clock import utc_now
from segue.settings import Home
from segue.terminal import say

if TYPE_CHECKING:
    from experiments.definition import Definition
    from experiments.metrics.log import Log

by_option: Callable = click.option("--by", help="Who decides.  [default: the user of this machine]")
requests_option: Callable = click.option(
    "--requests",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Parquet file of requests with user_id, ts and latency_ms, for the metric `latency`.",
)
file_argument: Callable = click.argument("file", type=click.Path(path_type=Path))


@click.group()
def experiment() -> None:
    """Plan, start, read and stop experiments."""


@experiment.command()
@file_argument
@requests_option
@json_option
def plan(file: Path, requests: Path | None, as_json: bool) -> None:
    """Compute how many listeners and days the experiment in FILE needs, and estimate what its layouts would bring.

    The imported log says how the metrics vary and how many listeners come, and with which chance it showed the layouts
    that an arm prefers. Nothing is started.
    """
    from events.dataset import load
    from experiments.planning import outlook
    from stores.parts import DATA, SURFACES, home_with
    from surfaces.home.serving_policy import serving_policy
    from workloads.training.arm_value import forecasts

    definition = definition_in(file)
    home = home_with(DATA, SURFACES)
    with log_of(home, requests) as log:
        result = outlook(definition, log, end_of(home))
    estimates = forecasts(definition, load(home.data), serving_policy(home))
    if as_json:
        print_json({**result.to_dict(), "forecasts": [asdict(each) for each in estimates]})
    else:
        show_plan(result, definition)
        show_forecasts(estimates)


@experiment.command()
@file_argument
@click.option("--stage", type=int, default=1, show_default=True, help="Stage of the ramp, from 1.")
@click.option("--at", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="The start, UTC.  [default: now]")
@by_option
@json_option
def start(file: Path, stage: int, at: datetime | None, by: str | None, as_json: bool) -> None:
    """Start the experiment in FILE, or move a running one to a later stage of its ramp."""
    from experiments.registry import Registry
    from stores import parts
    from surfaces.arms.assigned import choices
    from surfaces.arms.parameters import check_versions

    definition, home = definition_in(file), Home.from_env()
    if choices(definition):
        check_versions(definition, parts.home_with(parts.MODELS).models)
    instant = at.replace(tzinfo=UTC) if at else utc_now()
    state = parts.change(
        home,
        parts.EXPERIMENTS,
        lambda: Registry(home.experiments).start(definition, instant, by or getuser(), stage),
    )
    if as_json:
        print_json({"name": definition.name, "stage": state.stage, "share": definition.share[state.stage - 1]})
    else:
        say(
            f"{definition.name} runs in layer {definition.layer.name} with {definition.share[state.stage - 1]:.2%} of "
            f"it (stage {state.stage} of {len(definition.share)})."
        )


@experiment.command()
@click.argument("name", required=False)
@json_option
def status(name: str | None, as_json: bool) -> None:
    """List all experiments, or show the records of the experiment NAME. No look is taken."""
    from experiments.registry import Registry, summary
    from stores.parts import EXPERIMENTS, home_with

    registry = Registry(home_with(EXPERIMENTS).experiments)
    if name is not None:
        state = registry.get(name)
        if as_json:
            print_json({"definition": state.definition.to_dict(), "history": registry.history(name)})
        else:
            show_state(state)
        return
    rows = [summary(each) for each in registry.all()]
    if as_json:
        print_json(rows)
    elif rows:
        show_list(rows)
    else:
        say("No experiment was started.")


@experiment.command()
@click.argument("name")
@click.option("--page", type=click.Path(path_type=Path, dir_okay=False), help="Also write the scorecard as a page.")
@requests_option
@json_option
def report(name: str, page: Path | None, requests: Path | None, as_json: bool) -> None:
    """Look at the experiment NAME: metrics with intervals, checks, and a verdict.

    The look reads the collected log to its end, which is its last collection, and is recorded: it spends alpha. Of an
    experiment that has ended, the last look is shown.
    """
    from experiments.registry import Registry
    from experiments.reporting import report as look
    from segue.files import write_text
    from stores import parts

    home = parts.home_with(parts.DATA)
    with log_of(home, requests) as log:
        result = parts.change(
            home, parts.EXPERIMENTS, lambda: look(Registry(home.experiments), name, log, end_of(home))
        )
    if page is not None:
        from experiments.page import render

        write_text(page, render(result))
    if as_json:
        print_json(result.to_dict())
        return
    show_report(result)
    if page is not None:
        say(f"page: {page}")


@experiment.command()
@click.argument("name")
@click.option("--decision", required=True, help="ship, stop or invalid.")
@click.option("--reason", required=True, help="The reason, for those who read it later.")
@by_option
@json_option
def stop(name: str, decision: str, reason: str, by: str | None, as_json: bool) -> None:
    """Stop the experiment NAME and record the decision. Its share of the layer is free again; its looks stay."""
    from experiments.registry import Registry
    from stores import parts

    home = Home.from_env()
    state = parts.change(
        home,
        parts.EXPERIMENTS,
        lambda: Registry(home.experiments).stop(name, decision, reason, by or getuser(), utc_now()),
    )
    if as_json:
        print_json(state.stop)
    else:
        say(f"{name} has ended: {decision}. Its listeners see what is served without experiments.")


def definition_in(file: Path) -> "Definition":
    """Read the definition in a file. Its arms set only what the surfaces know: else they would all see the same."""
    from experiments.definition import read
    from surfaces.arms.parameters import check_arms

    definition = read(file)
    check_arms(definition)
    return definition


def log_of(home: Home, requests: Path | None) -> "AbstractContextManager[Log]":
    """Open the log of a home, with a file of requests if one is given."""
    from experiments.metrics.log import open_log

    return open_log(home.data, requests)


def end_of(home: Home) -> datetime:
    """Return the instant up to which a home's log is complete: its last collection, or after its last event.

    A day that was collected whole counts whole, also if nothing happened in its last hour.
    """
    from events.dataset import load
    from events.ingest import complete_until

    manifest = load(home.data).manifest
    return max(complete_until(manifest), datetime.fromisoformat(manifest["span"]["last"]) + timedelta(microseconds=1))

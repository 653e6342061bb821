"""`segue monitor` and `segue retrain`: check the newest day, decide whether to retrain, and do so."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.output import json_option, print_json
from cli.pipelines import places
from cli.quiet import quiet_logs, stdout_to_stderr
from cli.rounds import rounds
from segue.clock import utc_now
from segue.errors import UnavailableError
from segue.lock import locked
from segue.terminal import say

if TYPE_CHECKING:
    from monitoring.retraining import Decision
    from monitoring.rules import Rules
    from segue.settings import Home

FILE = click.Path(path_type=Path)
config_option: Callable = click.option("--config", type=FILE, help="Settings in YAML, as for `segue run training`.")


@click.group(invoke_without_command=True)
@click.option("--every", type=click.IntRange(min=1), metavar="SECONDS", help="Go on until a signal ends it.")
@click.option("--rules", "file", type=FILE, help="Rules of the decision in YAML.  [default: monitoring/rules.py]")
@click.option("--at", type=click.DateTime(), help="The time of the check, UTC, to replay a log.  [default: now]")
@click.option("--act", is_flag=True, help="If the decision is to retrain, run the training pipeline.")
@config_option
@json_option
@click.pass_context
def monitor(
    context: click.Context,
    every: int | None,
    file: Path | None,
    at: datetime | None,
    act: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Check the newest day and decide whether to retrain; once, unless --every is given.

    The journal is collected first, and after midnight UTC the statistics of the day before are brought online. An
    imported log into which no journal is collected is checked at its end.

    The report of a day goes to reports/checks/. The decision follows from the reports, the decisions and trainings
    before, and the rules. It is recorded in reports/retraining.json and in MLflow. A hold, and a call for a person, go
    to the webhook that SEGUE_ALERTS_WEBHOOK names.
    """
    from monitoring.rules import Rules, read

    if context.invoked_subcommand:
        return
    if as_json and (act or every):
        raise click.UsageError("--json prints one decision. Leave out --act and --every.")
    if at and every:
        raise click.UsageError("--every goes on from now. Leave out --at.")
    if at and act:  # the run would have the time of now, and no later replay would find it
        raise click.UsageError("--at replays a log. Leave out --act.")
    rules = read(file) if file else Rules()
    rounds(lambda: once(rules, at.replace(tzinfo=UTC) if at else utc_now(), act, config, as_json), every)


def once(rules: "Rules", at: datetime, act: bool, config: Path | None, as_json: bool) -> None:
    """Collect, check, decide, tell, and train if the decision is to retrain and somebody asked to act."""
    from pipelines.run_state import state
    from stores.parts import DATA, MODELS, REPORTS, home_with
    from workloads.ingest import collected
    from workloads.monitoring.monitor import monitor

    home = home_with(DATA, REPORTS, MODELS)
    collected(home)
    bring_online(home)
    with quiet_logs(), stdout_to_stderr():
        report, decision, untold = monitor(home, rules, at, state, lambda line: say(line, err=True, fg="yellow"))
    if as_json:
        print_json({"report": report.to_dict(), "decision": decision.to_dict(), **untold})
        return
    start, end = report.current
    cause = f", cause {report.cause}" if report.cause else ""
    few = sum(check.effect is None for check in report.checks)
    unjudged = f", {few} had too few events" if few else ""
    say(
        f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC: {len(report.failed)} of {len(report.checks)} checks "
        f"failed{cause}{unjudged}"
    )
    if not report.checks:
        say(report.reason)
    for check in report.failed:
        say(f"{check.name}: {check.verdict.reason}")
    say(f"{decision.action}: {decision.reason}")
    for name, reason in untold.items():
        say(f"{name.replace('_', ' ')}: {reason} The next `segue monitor` tries again.", err=True, fg="yellow")
    if act:
        carry_out(decision, config, as_json, "local", None)


def bring_online(home: "Home") -> None:
    """Bring the statistics of the day before online, unless they are there. A run that is at work is not disturbed."""
    from workloads.monitoring import refresh

    try:
        if refresh.due(home, utc_now()):
            with locked(home.lock, "segue monitor", utc_now()), quiet_logs(), stdout_to_stderr():
                refresh.step(home, utc_now())
    except UnavailableError as error:
        say(f"features not refreshed: {error.headline} The next `segue monitor` tries again.", err=True, fg="yellow")


@monitor.command()
@json_option
def history(as_json: bool) -> None:
    """Print the loop over time: reports of windows, decisions, trainings and moves of labels."""
    from pipelines.run_state import state
    from stores.parts import MODELS, REPORTS, home_with
    from workloads.monitoring.timeline import timeline

    line = timeline(home_with(REPORTS, MODELS), state)
    if as_json:
        print_json(line)
        return
    for event in line["events"]:
        said = f": {event['said']}" if event["said"] else ""
        say(f"{event['at'][:16].replace('T', ' ')}  {event['kind']} {event['what']}{said}")


@monitor.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8710, show_default=True, help="The port.")
def ui(port: int) -> None:
    """Serve Evidently's own pages on the last drift comparisons until Ctrl-C. It starts in half a minute."""
    from monitoring.evidently_pages import serve
    from stores.parts import REPORTS, home_with

    say(f"Evidently starts at http://127.0.0.1:{port}/")
    serve(home_with(REPORTS).drift_snapshots, "127.0.0.1", port)


@click.command()
@click.option("--if-needed", is_flag=True, help="Only if the last decision of `segue monitor` says so.")
@config_option
@places.place_options
@json_option
def retrain(if_needed: bool, config: Path | None, on: str, host: str | None, as_json: bool) -> None:
    """Run the training pipeline on the imported log.

    With --if-needed, training runs only if the last decision of `segue monitor` is to retrain, and no training since
    then was pushed or stopped by a gate. So one that failed or was cut off is repeated.
    """
    from monitoring.retraining import Decision

    decision = Decision(utc_now(), "retrain", "Retrain, as asked.")
    if if_needed:
        from pipelines.run_state import state
        from stores.parts import REPORTS, home_with
        from workloads.monitoring.decide import standing

        decision = standing(home_with(REPORTS), state)
    if not as_json:
        say(f"{decision.action}: {decision.reason}" if if_needed else decision.reason)
    carry_out(decision, config, as_json, on, host)
    if as_json and decision.action != "retrain":
        print_json({"retrain": False, "reason": decision.reason})


def carry_out(decision: "Decision", config: Path | None, as_json: bool, on: str, host: str | None) -> None:
    """Run the training pipeline with the reason of a decision to retrain."""
    from cli.pipelines.run import execute

    if decision.action == "retrain":
        execute("training", on, host, False, config, None, as_json, why=decision.reason)

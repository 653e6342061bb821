"""`segue bench rollout`: roll-outs and drift in worlds without models."""

from typing import Any

import click

from cli.bench_output import print_targets
from cli.output import json_option, print_json, print_table
from segue.terminal import say

ROLLOUTS, DRIFT = "rollouts", "drift"


@click.command()
@click.option(
    "--rollouts",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Simulated roll-outs of each model, of an equal one ten times as many; and worlds of each planted change.",
)
@click.option("--part", type=click.Choice([ROLLOUTS, DRIFT]), help="Measure one part.  [default: both]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of everything.")
@json_option
def rollout(rollouts: int, part: str | None, seed: int, as_json: bool) -> None:
    """Measure who is promoted and who is taken back, and what is noticed, in worlds without models.

    Worse, equal and better models are rolled out to simulated listeners of two sites, by Segue's controller and by five
    strikes of a threshold. Changes are planted in synthetic worlds, and Segue and other rules decide on retraining from
    daily windows, also in worlds without a change.
    """
    from benchmarks.rollout import benchmark, drift_benchmark

    def progress(line: str) -> None:
        say(line, err=True)

    result = {}
    if part != DRIFT:
        result |= benchmark.run(rollouts, progress, seed)
    if part != ROLLOUTS:
        drift = drift_benchmark.run(rollouts, progress, seed)
        result |= {"drift": drift, "targets": {**result.get("targets", {}), **drift.pop("targets")}}
    if as_json:
        print_json(result)
        return
    if part != DRIFT:
        print_rollouts(result)
    if part != ROLLOUTS:
        print_drift(result["drift"])
    print_targets(result["targets"])


def print_rollouts(result: dict[str, Any]) -> None:
    """Print the ends of simulated roll-outs."""
    for site, contestants in result["sites"].items():
        print_table(
            f"{site.replace('_', ' ')}: {result['listeners'][site]:,} listeners",
            ("", "promoted", "taken back", "undecided", "in time", "days", "seen"),
            [
                (
                    f"{name}, {model}".replace("_", " "),
                    *(f"{figures[share]:.1%}" for share in ("promoted", "taken_back", "undecided", "in_time")),
                    f"{figures['days']:.1f}",
                    f"{figures['seen']:.1%}",
                )
                for name, models in contestants.items()
                for model, figures in models.items()
            ],
        )


def print_drift(result: dict[str, Any]) -> None:
    """Print what was decided in quiet windows, and after planted changes."""
    changes = list(next(iter(result["planted"].values())))
    print_table(
        f"of {result['worlds']} worlds each: noticed in {result['in_time']} windows; with the right cause; "
        f"and decisions and failed windows in {result['windows']} quiet windows, by world",
        ("", *changes, "retrained on outage", "quiet decisions", "quiet failures"),
        [
            (
                name.replace("_", " "),
                *(f"{planted[change]['noticed']}; {planted[change]['cause']}" for change in changes),
                planted["outage"]["retrained"],
                *(", ".join(str(each[figure]) for each in result["quiet"][name]) for figure in ("decisions", "failed")),
            )
            for name, planted in result["planted"].items()
        ],
    )

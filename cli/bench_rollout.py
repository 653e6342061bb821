"""`segue bench rollout`: roll-outs and drift in worlds without models."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from cli.bench_output import print_targets
from cli.output import json_option, print_json, print_table
from segue.terminal import say


def number_option(name: str, default: int, help: str) -> Callable:
    """Return an option for the size of a part; 0 leaves the part out."""
    size = click.IntRange(min=0)
    return click.option(name, type=size, default=default, show_default=True, help=f"{help}; 0 leaves that part out.")


@click.command()
@number_option("--rollouts", 20, "Simulated roll-outs of each model; of an equal one ten times as many")
@number_option("--decisions", 200, "Decisions to take a candidate back, after which a real gateway is timed")
@number_option("--worlds", 20, "Worlds of each planted change; of none a quarter as many")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of everything.")
@json_option
def rollout(rollouts: int, decisions: int, worlds: int, seed: int, as_json: bool) -> None:
    """Measure who is promoted and who is taken back, in a world without models.

    Worse, equal and better models are rolled out to simulated listeners of two sites, by Segue's controller and by five
    strikes of a threshold. Then a gateway with tiny models answers listeners while a candidate is taken back again and
    again, and the seconds from the decision to the candidate's last answer are measured. At last changes are planted in
    synthetic worlds, and Segue and other rules decide on retraining from daily windows, also without a change.
    """
    from benchmarks.results import machine
    from benchmarks.rollout import drift_benchmark, last_answers
    from benchmarks.rollout.benchmark import run
    from benchmarks.rollout.site import made
    from segue.clock import utc_now

    def progress(line: str) -> None:
        say(line, err=True)

    result = run(rollouts, progress, seed) if rollouts else {"sites": {}, "targets": {}, "machine": machine()}
    if decisions:
        progress("making a home")
        with TemporaryDirectory(prefix="segue-bench-") as folder:
            result["last_answers"] = last_answers.run(made(Path(folder), utc_now()), decisions, utc_now(), progress)
        result["targets"] |= last_answers.targets(result["last_answers"])
    if worlds:
        result["drift"] = drift_benchmark.run(worlds, progress, seed)
        result["targets"] |= drift_benchmark.targets(result["drift"])
    if as_json:
        print_json(result)
        return
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
    if decisions:
        figures = ", ".join(f"{name} {result['last_answers'][name]:.2f} s" for name in ("p50", "p99", "most"))
        say(f"From a decision to the candidate's last answer, {decisions} decisions: {figures}.")
    if worlds:
        print_drift(result["drift"])
    print_targets(result["targets"])


def print_drift(result: dict[str, Any]) -> None:
    """Print what was decided in quiet windows, and after planted changes."""
    changes = list(next(iter(result["planted"].values())))
    print_table(
        f"of {result['worlds']} worlds each: noticed in {result['in_time']} windows; with the right cause. "
        f"By quiet world: decisions and failed windows of {result['windows']}",
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

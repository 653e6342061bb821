"""`segue bench rollout`: roll-outs in a world without models."""

import click

from cli.bench_output import print_targets
from cli.output import json_option, print_json, print_table
from segue.terminal import say


@click.command()
@click.option(
    "--rollouts",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Simulated roll-outs of each model; of an equal one ten times as many.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of everything.")
@json_option
def rollout(rollouts: int, seed: int, as_json: bool) -> None:
    """Measure who is promoted and who is taken back, in a world without models.

    Worse, equal and better models are rolled out to simulated listeners of two sites, by Segue's controller and by five
    strikes of a threshold.
    """
    from benchmarks.rollout.benchmark import run

    result = run(rollouts, lambda line: say(line, err=True), seed)
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
    print_targets(result["targets"])

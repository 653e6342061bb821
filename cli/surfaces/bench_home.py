"""`segue bench home`: what composing a Home page gains and costs."""

import click

from cli.bench_output import print_targets
from cli.output import json_option, print_json, print_table


@click.command()
@click.option("--repeats", type=click.IntRange(1), default=100, show_default=True, help="Number of synthetic logs.")
@click.option("--requests", type=click.IntRange(1), default=200, show_default=True, help="Number of synthetic pages.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the pages and logs.")
@json_option
def home(repeats: int, requests: int, seed: int, as_json: bool) -> None:
    """Measure how a Home page is composed, and check the estimates of its layout policy.

    On synthetic requests without models, the command compares pages with and without calibration, shelves by MMR and
    by a determinantal point process, and times a page. On synthetic logs it counts how often the 95 % intervals of a
    layout policy's value contain the true value.
    """
    from benchmarks.surfaces import composition, layout

    result: dict = composition.run(requests, seed) | {"layout": layout.run(repeats, seed=seed)}
    result["targets"] |= result["layout"].pop("targets")
    if as_json:
        print_json(result)
        return
    calibration, estimates = result["calibration"], result["layout"]
    print_table(
        f"{requests} pages",
        ("calibration", "KL", "reward"),
        [[how, *(f"{calibration[how][name]:.4f}" for name in ("kl", "reward"))] for how in ("without", "with")],
    )
    print_table(
        "a shelf of 10 from 200 items",
        ("method", "weight", "distance", "reward loss", "ms"),
        [
            [method, weight, f"{one['distance']:.3f}", f"{one['reward_loss']:.4f}", f"{one['ms']:.3f}"]
            for method, weights in result["diversity"].items()
            for weight, one in weights.items()
        ],
    )
    print_table(
        f"a layout policy of true value {estimates['true_value']:.4f}, {repeats} logs of {estimates['pages']} pages",
        ("", "covered", "mean width"),
        [[name, estimates["covered"][name], f"{width:.4f}"] for name, width in estimates["mean_width"].items()],
    )
    print_targets(result["targets"], digits=4)

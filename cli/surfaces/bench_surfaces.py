"""`segue bench surfaces`: the quality of Home, Now Playing and new releases in a synthetic world."""

from typing import Any

import click

from cli.bench_output import print_targets
from cli.output import json_option, print_json, print_table
from cli.quiet import quiet_libraries
from segue.clock import utc_now
from segue.settings import Home
from segue.terminal import say


@click.command()
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the world and all draws."
)
@json_option
def surfaces(seed: int, as_json: bool) -> None:
    """Measure the quality of Home, Now Playing and new releases in a world whose listeners are known.

    It reads SEGUE_HOME, if models that were trained on a synthetic world of version 2 are pushed there. Otherwise it
    trains such models in a temporary home. The gateway's stages make pages for the world's listeners, and the world
    says what they are worth, beside pages of peers from the same candidates. Intervals are 95 %, over listeners or
    sessions.
    """
    from benchmarks.surfaces.world import run

    result = run(Home.from_env(), utc_now(), lambda line: say(line, err=True), quiet_libraries, seed=seed)
    if as_json:
        print_json(result)
        return
    home = result["home"]
    print_table(
        f"true value of {home['pages']:,} Home pages of {home['listeners']:,} listeners",
        ("", "value", "rows", "items", "Home is ahead by"),
        [
            (name.replace("_", " "), interval(one["value"]), f"{one['rows']:.1f}", f"{one['items']:.1f}", lead(one))
            for name, one in home["values"].items()
        ],
    )
    print_table(
        "calibration",
        ("", "KL", "value"),
        [
            [how.replace("_", " "), *(f"{home['calibration'][how][name]:.4f}" for name in ("kl", "value"))]
            for how in ("by_reward", "without", "with")
        ],
    )
    releases, plays = result["new_releases"], result["next"]
    print_table(
        f"true value of {releases['lists']:,} lists of new releases",
        ("", "value", "Segue is ahead by"),
        [(name.replace("_", " "), interval(one["value"]), lead(one)) for name, one in releases["values"].items()],
    )
    skips = result["skips"]
    say(
        f"two skips of a genre leave {skips['left']:.2f} of its share of the next five "
        f"({skips['listeners']:,} listeners, {skips['before']:.3f} to {skips['after']:.3f})"
    )
    print_table(
        f"{plays['predictions']:,} plays of {plays['sessions']:,} sessions",
        ("", "MRR", "Now Playing is ahead by"),
        [
            (name.replace("_", " "), interval({"mean": one["mrr"], **one}), lead(one))
            for name, one in plays["contestants"].items()
        ],
    )
    estimates = result["estimates"]
    print_table(
        f"a layout policy of true value {estimates['true_value']:.4f}, {estimates['repeats']} journals of "
        f"{estimates['pages']} pages",
        ("", "covered", "mean width"),
        [[name, estimates["covered"][name], f"{width:.4f}"] for name, width in estimates["mean_width"].items()],
    )
    print_table(
        "a shelf of 10 from what retrieval found",
        ("method", "weight", "distance", "reward loss", "ms"),
        [
            [method, weight, f"{one['distance']:.3f}", f"{one['reward_loss']:.4f}", f"{one['ms']:.3f}"]
            for method in ("mmr", "dpp")
            for weight, one in result["diversity"][method].items()
        ],
    )
    print_targets(result["targets"], digits=4)


def interval(figure: dict[str, Any]) -> str:
    """A mean with its 95 % interval: `0.0464 (0.0380 to 0.0550)`."""
    return f"{figure['mean']:.4f} ({figure['low']:.4f} to {figure['high']:.4f})"


def lead(figures: dict[str, Any]) -> str:
    """The lead over a peer; empty for a contestant that is no peer."""
    return interval(figures["ahead"]) if "ahead" in figures else ""

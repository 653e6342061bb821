"""`segue bench next`: how well Now Playing finds the next item of a session."""

import click

from cli.bench_output import print_targets, with_interval
from cli.output import json_option, print_json, print_table
from segue.settings import Home
from segue.terminal import say


@click.command("next")
@click.option("--sessions", type=click.IntRange(1), help="Predict the first sessions alone.  [default: all]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of draws and intervals.")
@json_option
def next_item(sessions: int | None, seed: int, as_json: bool) -> None:
    """Measure Now Playing's next items beside item-kNN, V-SKNN and the two-tower without the session.

    It reads SEGUE_HOME: each play of the log's test span is predicted by the models that are pushed, and by neighbours
    of the same log.
    """
    from benchmarks.surfaces.next_item import run

    result = run(Home.from_env(), lambda line: say(line, err=True), seed, sessions)
    if as_json:
        print_json(result)
        return
    rows = [
        (
            name.replace("_", " "),
            f"{one['mrr']:.4f} ({one['low']:.4f} to {one['high']:.4f})",
            with_interval(one["ahead"]) if "ahead" in one else "",
        )
        for name, one in result["contestants"].items()
    ]
    print_table(
        f"{result['predictions']:,} plays of {result['sessions']:,} sessions",
        ("", "MRR", "Now Playing is ahead by"),
        rows,
    )
    print_targets(result["targets"], digits=4)

"""`segue bench`: speed and memory beside a named peer, in one run."""

import click

from segue.cli.output import json_option, print_json, print_table


@click.group()
def bench() -> None:
    """Measure speed and memory beside a named peer, in one run."""


@bench.command()
@click.option("--size", type=click.Choice(["nano", "small", "large"]), default="large", show_default=True)
@json_option
def features(size: str, as_json: bool) -> None:
    """From raw events to the point-in-time training set, beside plain pandas."""
    from benchmarks.features import CONTESTANTS, run

    found = run(size)
    if as_json:
        print_json(found)
        return
    columns = ("features_seconds", "join_seconds", "total_seconds", "events_per_second", "peak_memory_mb")
    print_table(
        f"{found['events']:,} events to {found['examples']:,} examples",
        ("", *(name.replace("_", " ") for name in columns)),
        [[name, *(f"{found[name][column]:,.1f}" for column in columns)] for name in CONTESTANTS],
    )
    click.echo(
        f"{found['speedup']:.1f} times as fast in {found['memory_ratio']:.2f} of the memory; "
        f"equal values: {'yes' if found['equal_values'] else 'no: ' + ', '.join(found['different_columns'])}"
    )

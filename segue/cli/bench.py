"""`segue bench`: speed and memory beside a named peer, in one run."""

from typing import Any

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


@bench.command()
@click.option("--seconds", type=click.FloatRange(0.5, 600), default=5.0, show_default=True, help="For each figure.")
@json_option
def serving(seconds: float, as_json: bool) -> None:
    """`segue serve` beside the in-process call and a naive peer, at 1, 8 and 32 requests in flight."""
    from benchmarks.serving import FIGURES, IN_FLIGHT, MODELS, run

    found = run(seconds, say)
    if as_json:
        print_json(found)
        return
    for model in MODELS:
        print_table(
            f"{model}, by requests in flight",
            ("", *map(str, IN_FLIGHT)),
            [[name.replace("_", " "), *(f"{found[model][name][str(n)]:,.2f}" for n in IN_FLIGHT)] for name in FIGURES],
        )
    print_targets(found["targets"])
    click.echo("batching: " + ", ".join(f"{name} {value}" for name, value in found["batching"].items()))


@bench.command("serving-soak")
@click.option("--minutes", type=click.FloatRange(1, 24 * 60), default=10.0, show_default=True)
@json_option
def serving_soak(minutes: float, as_json: bool) -> None:
    """A server under load at 80 % of its peak whose models are replaced every 20 s."""
    from benchmarks.serving_soak import run

    found = run(minutes, say)
    if as_json:
        print_json(found)
        return
    click.echo(
        f"{found['requests']:,} requests at {found['rate_rps']:,.0f} a second, {found['reloads']} reloads, "
        f"{found['failures']} failures; memory {found['rss_first_mb']:,.0f} MiB after the first reload, "
        f"{found['rss_last_mb']:,.0f} after the last, {found['rss_max_mb']:,.0f} at most"
    )
    for when in ("during_reloads", "between"):
        p50, p99 = found["p50_ms"][when], found["p99_ms"][when]
        click.echo(f"{when.replace('_', ' ')}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    for text, times in found["failure_texts"].items():
        click.echo(f"{times} times: {text}")
    print_targets(found["targets"])


@bench.command("serving-kill")
@click.option("--rounds", type=click.IntRange(1), default=100, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@json_option
def serving_kill(rounds: int, seed: int, as_json: bool) -> None:
    """kill -9 at random times during pushes and reloads: what answers after the restart."""
    from benchmarks.serving_kill import run

    found = run(rounds, seed, say)
    if as_json:
        print_json(found)
        return
    click.echo(
        f"{found['rounds']} rounds, {found['pushes']} pushes; the pusher was killed {found['pusher_kills']} times "
        f"({found['kills_within_a_push']} within a push), the server {found['server_kills']} times; "
        f"it answered again after {found['slowest_restart_seconds']:.1f} s at most; "
        f"{len(found['failures'])} failures"
    )
    for text in found["failures"]:
        click.echo(text)


def say(line: str) -> None:
    """Show progress where it does not mix with results."""
    click.echo(line, err=True)


def print_targets(targets: dict[str, dict[str, Any]]) -> None:
    """Print figures beside their limits."""
    rows = []
    for name, found in targets.items():
        limit = f"at least {found['at_least']:g}" if "at_least" in found else f"at most {found['at_most']:g}"
        rows.append((name.replace("_", " "), f"{found['value']:,.2f}", limit, "yes" if found["holds"] else "NO"))
    print_table("targets", ("", "measured", "limit", "holds"), rows)

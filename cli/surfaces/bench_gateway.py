"""`segue bench gateway`: load on the gateway."""

import click

from cli.bench_output import print_targets
from cli.output import json_option, print_json, print_table
from segue.settings import Home
from segue.terminal import say


@click.command()
@click.option(
    "--seconds", type=click.FloatRange(1, 3600), default=20.0, show_default=True, help="Seconds of each measure."
)
@json_option
def gateway(seconds: float, as_json: bool) -> None:
    """Measure Home and Now Playing at 30 requests per second, and throughput beside a naive gateway.

    Between them events are timed from their request to the online features of their listener.
    It reads SEGUE_HOME, where models are pushed, and starts its own model server. Model server, gateway and client
    share the machine.
    """
    from benchmarks.surfaces.gateway import run

    result = run(Home.from_env(), seconds, lambda line: say(line, err=True))
    if as_json:
        print_json(result)
        return
    figures, parts = ("rps", "p50_ms", "p99_ms", "not_whole"), ("gateway", "server", "client")
    print_table(
        "HTTP, client included",
        ("", *(figure.replace("_", " ") for figure in figures), *(f"{part} CPU ms" for part in parts), "CPU elsewhere"),
        [
            [
                name.replace("_", " "),
                *(f"{result[name][figure]:,.1f}" for figure in figures),
                *(f"{result[name]['cpu_ms_per_page'][part]:.1f}" for part in parts),
                f"{result[name]['cpu_elsewhere']:.0%}",
            ]
            for name in ("home", "next", "throughput", "naive_throughput")
        ],
    )
    for name in ("home", "next"):
        stages = sorted(result[name]["stages_ms"].items(), key=lambda pair: -pair[1])
        print_table(f"{name}, by stage", ("stage", "mean ms"), [[stage, f"{ms:.2f}"] for stage, ms in stages])
    p50, p99 = (result["event_to_features"][name] for name in ("p50_ms", "p99_ms"))
    say(f"from an event to the online features: p50 {p50:.0f} ms, p99 {p99:.0f} ms")
    print_targets(result["targets"])

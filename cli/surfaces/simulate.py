"""`segue simulate`: the listeners of the imported world use the gateway, day by day."""

from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import click

from cli.output import json_option, print_json, print_table
from cli.quiet import quiet_libraries
from segue.clock import utc_now
from segue.terminal import say

COLUMNS = ("date", "pages", "reward", "best_reward", "popular_reward", "calibration_kl", "explored", "fallback")


@click.command()
@click.option(
    "--days", required=True, type=click.IntRange(min=1), help="How many days after the log there are in the end."
)
@click.option(
    "--retrain-every", default=7, show_default=True, type=click.IntRange(min=1),
    help="Train after so many days, on what was served until then.",
)  # fmt: skip
@click.option("--config", type=click.Path(path_type=Path), help="Settings of the training, in YAML.")
@json_option
def simulate(days: int, retrain_every: int, config: Path | None, as_json: bool) -> None:
    """Let the listeners of an imported world of version 2 use the gateway, day by day, after their log ends.

    The models must be trained and pushed. A model server and a gateway run for it; its clock jumps from request to
    request. What is served is collected and trained on. The command goes on where an earlier one ended or was killed.
    """
    from models.training_config import load
    from stores.parts import DATA, MODELS, home_with
    from stores.settings import settings
    from workloads.simulation.simulate import simulate

    def line(text: str) -> None:
        say(text, err=as_json)

    configuration = load(config).to_dict()
    home = home_with(DATA, MODELS)

    def train() -> dict[str, Any]:
        from pipelines.runner import run_locally

        at_once = {**configuration, "push": "stable"}  # nobody rolls out between the days
        ended = run_locally(home, "training", at_once, utc_now(), lambda record: None, line)
        return {name: ended[name] for name in ("run", "status", "reason")}

    result = simulate(home, settings(), days, retrain_every, train, line, quiet)
    if as_json:
        print_json(result)
        return
    rows = [[cell(day[name]) for name in COLUMNS] for day in result["days"]]
    print_table(f"Simulation of {result['world']}", (name.replace("_", " ") for name in COLUMNS), rows)
    checks = ("collected", "missing"), ("collected", "unexpected"), ("exposures", "missing"), ("exposures", "changed")
    lost = sum(day[name][count] for day in result["days"] for name, count in checks)
    say(f"rows of the journal and the log that differ from the world's: {lost:,}")
    asked, other = (sum(day["features"][name] for day in result["days"]) for name in ("requests", "different"))
    say(f"pages decided with other features than training joins: {other:,} of {asked:,}")
    say(result["worth"])
    say(f"chart    {result['chart']}")
    say(f"page     {result['page']}")


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what TensorFlow and Feast print."""
    with quiet_libraries(), redirect_stdout(StringIO()):
        yield


def cell(value: Any) -> Any:
    """Return a value for the table; an empty cell for none."""
    return "" if value is None else value

"""`segue simulate`: the listeners of the imported world use the gateway, day by day."""

from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import datetime, timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import click

from cli.output import json_option, print_json, print_table
from cli.quiet import quiet_libraries
from segue.terminal import say

FILE = click.Path(path_type=Path)
COLUMNS = ("date", "pages", "loop", "frozen", "oracle")  # and other sites


@click.command()
@click.option(
    "--days", required=True, type=click.IntRange(min=1), help="How many days after the log there are in the end."
)
@click.option("--drift", help="What changes: genre, catalogue, outage or behaviour. The log stays as it was.")
@click.option(
    "--drift-day", type=click.IntRange(min=1),
    help="The simulated day from which it changes; the first is 1.  [default: after half of the days]",
)  # fmt: skip
@click.option(
    "--retrain-every", type=click.IntRange(min=1),
    help="Train after so many days, instead of the loop that watches and decides.",
)  # fmt: skip
@click.option("--rules", "rules_file", type=FILE, help="Rules of the loop's decisions, as for `segue monitor`.")
@click.option("--plan", "plan_file", type=FILE, help="Plan of its roll-outs, as for `segue rollout start`.")
@click.option(
    "--worse-model-day",
    type=click.IntRange(min=1),
    help="Push a deliberately worse candidate after this day, or once no roll-out runs.",
)
@click.option(
    "--beside", multiple=True, type=FILE, metavar="HOME",
    help="Another home that has simulated the same days, drawn beside this one; may be repeated.",
)  # fmt: skip
@click.option("--config", type=FILE, help="Settings of the training, in YAML.")
@json_option
def simulate(
    days: int, drift: str | None, drift_day: int | None, retrain_every: int | None, rules_file: Path | None,
    plan_file: Path | None, worse_model_day: int | None, beside: tuple[Path, ...], config: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Let the listeners of an imported world of version 2 use the gateway, day by day, after their log ends.

    The models must be trained and pushed. A model server and a gateway run for it; its clock jumps from request to
    request. What is served is collected. After each day the loop watches, decides whether to train, rolls out what was
    trained and takes it back if it does harm. Each day the models are compared with the first ones and with an oracle,
    which knows the world. The command goes on where an earlier one ended or was killed.

    What happens without the loop, or with another one, is simulated in a copy of the home; --beside compares both.
    """
    from cli.surfaces import loop
    from models.training_config import load
    from monitoring import rules
    from rollout import plan
    from stores.parts import DATA, MODELS, home_with
    from stores.settings import settings
    from workloads.monitoring.monitor import roll_out
    from workloads.simulation.actions import Actions
    from workloads.simulation.plan import Plan
    from workloads.simulation.simulate import simulate

    if worse_model_day and retrain_every:
        raise click.UsageError("Only the loop tries a worse model. Leave out --retrain-every or --worse-model-day.")

    def line(text: str) -> None:
        say(text, err=as_json)

    configuration = load(config).to_dict()
    home = home_with(DATA, MODELS)

    chosen_rules = rules.read(rules_file) if rules_file else rules.Rules()
    chosen_plan = plan.read(plan_file) if plan_file else plan.Plan()

    at_once = {**configuration, "push": "stable"}  # where nobody rolls out

    def train(configured: dict[str, Any], at: datetime, why: str) -> dict[str, Any]:
        from pipelines.runner import run_locally

        if ended := loop.ended_at(home, at):
            return ended
        line(f"{at:%Y-%m-%d}: training. {why}")
        return run_locally(home, "training", configured, at, lambda record: None, line, why)

    def steer(actions: Actions, earlier: list[str], at: datetime) -> None:
        done = actions.day
        worse_is_due = worse_model_day and done >= worse_model_day and loop.WORSE not in earlier + actions.kinds
        if worse_is_due and not roll_out(home):  # beside a roll-out it would wait without a label
            actions.add(loop.push_worse(home))
        if retrain_every is None:
            first = at - timedelta(days=done)
            loop.after_day(home, chosen_rules, chosen_plan, partial(train, configuration), at, first, actions)
        elif done % retrain_every == 0:
            actions.add(loop.training(train(at_once, at, f"{done} days are over.")))

    result = simulate(home, settings(), Plan(days, drift, drift_day), loop.release, steer, line, quiet, beside)
    if as_json:
        print_json(result)
        return
    days_figures = [{**day, **day["policies"]} for day in result["days"]]
    others = [name for name in result["days"][0]["policies"] if name not in COLUMNS]
    columns = [*COLUMNS, *others, "reward", "fallback"]
    rows = [[cell(figures[name]) for name in columns] for figures in days_figures]
    print_table(f"Simulation of {result['world']}", columns, rows)
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

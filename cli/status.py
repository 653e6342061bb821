"""`segue status`: the data, the last run, the served versions and the last drift verdict."""

import click

from cli.evaluation import show_evaluation, show_places
from cli.output import json_option, print_json, print_table
from segue.settings import Home, RunFolder

SHOWN = ("home", "data", "last_run", "served", "drift")  # in the table


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Show the data, the last run, the served versions, the last evaluation and the last drift verdict.

    With --json it also prints the newest runs, the gates of the last training, the drift verdicts and the experiments,
    as the operator's page of `segue up` shows them.
    """
    from pipelines.run_state import state as state_of
    from stores.parts import DATA, EXPERIMENTS, MODELS, REPORTS, home_with
    from workloads.operating.overview import overview

    home = home_with(DATA, EXPERIMENTS, MODELS, REPORTS)
    state = overview(home, state_of)
    if as_json:
        print_json(state)
        return
    print_table("Segue", ("what", "state"), [(name.replace("_", " "), text(state[name])) for name in SHOWN])
    run = last_evaluated(home)
    if run:
        show_evaluation(run)
        show_places(home, run)


def last_evaluated(home: Home) -> RunFolder | None:
    """Return the newest run that evaluated its models, or None."""
    return next((run for run in reversed(home.run_folders()) if run.evaluation.is_file()), None)


def text(value) -> str:
    """Format a part of the state as a cell of the table."""
    from pipelines.run_state import words

    match value:
        case None:
            return "nothing yet"
        case {"dataset": name, "counts": counts, "span": span}:
            return f"{name}: {counts['events']:,} events, {span['first'][:10]} to {span['last'][:10]}"
        case {"run": name, "status": _, "reason": _}:
            return f"{name}: {words(value)}"
        case dict():
            served = {
                model: ", ".join(f"{label} {n}" for label, n in labels.items()) for model, labels in value.items()
            }
            return "; ".join(f"{model} {versions}" for model, versions in served.items())
        case _:
            return str(value)

"""`segue status`: the data, the last run, the served versions and the last drift verdict."""

import click

from cli.evaluation import show_evaluation, show_places
from cli.output import json_option, print_json, print_table
from segue.files import read_json
from segue.settings import Home, RunFolder


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Show the data, the last run, the served versions, the last evaluation and the last drift verdict."""
    from stores.parts import DATA, MODELS, REPORTS, home_with

    home = home_with(DATA, MODELS, REPORTS)
    state = collect(home)
    if as_json:
        print_json(state)
        return
    print_table("Segue", ("what", "state"), [(name.replace("_", " "), text(value)) for name, value in state.items()])
    run = last_evaluated(home)
    if run:
        show_evaluation(run)
        show_places(home, run)


def collect(home: Home) -> dict:
    """Collect the state of a home. Parts that do not exist yet are None."""
    from pipelines.run_state import state
    from serving.store.model_store import labels

    manifest = home.data / "manifest.json"
    drift = home.drift_verdict
    folders = home.run_folders()
    last = state(folders[-1]) if folders else None
    return {
        "home": str(home.root),
        "data": read_json(manifest) if manifest.is_file() else None,
        "last_run": {name: last[name] for name in ("run", "status", "reason")} if last else None,
        "served": labels(home.models) or None,
        "drift": read_json(drift)["reason"] if drift.is_file() else None,
    }


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

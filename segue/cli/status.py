"""`segue status`: the data, the last run and what is served."""

import click

from segue.cli.output import json_option, print_json, print_table
from segue.files import read_json
from segue.settings import Home


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Show the data, the last run, what is served and the last drift verdict."""
    found = collect(Home.from_env())
    if as_json:
        print_json(found)
        return
    print_table("Segue", ("what", "state"), [(name, text(value)) for name, value in found.items()])


def collect(home: Home) -> dict:
    """The state of a home; None where there is nothing yet."""
    from components.outcome import outcome
    from serving.store import labels

    manifest = home.data / "manifest.json"
    runs = sorted(home.runs.glob("*"), key=lambda run: run.stat().st_mtime)
    drift = home.reports / "drift.json"
    last = outcome(runs[-1]) if runs else None
    return {
        "home": str(home.root),
        "data": read_json(manifest) if manifest.is_file() else None,
        "last_run": {name: last[name] for name in ("run", "status", "reason")} if last else None,
        "served": labels(home.models) or None,
        "drift": read_json(drift)["reason"] if drift.is_file() else None,
    }


def text(value) -> str:
    """One cell of the table."""
    match value:
        case None:
            return "nothing yet"
        case {"dataset": name, "counts": counts, "span": span}:
            return f"{name}: {counts['events']:,} events, {span['first'][:10]} to {span['last'][:10]}"
        case {"run": name, "status": how, "reason": reason}:
            return f"{name}: {how}. {reason}"
        case dict():
            return ", ".join(f"{model} {labels}" for model, labels in value.items())
        case _:
            return str(value)

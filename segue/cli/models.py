"""`segue models`: what is in the model store, and which version answers."""

from typing import Any

import click

from segue.cli.output import json_option, print_json, print_table
from segue.settings import Home


@click.group()
def models() -> None:
    """List, promote and roll back model versions."""


@models.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Show every version with its labels, and whether its files are the ones that were pushed."""
    from serving import store

    root = Home.from_env().models
    labels = store.labels(root)
    found: dict[str, list[dict[str, Any]]] = {
        model: [
            {
                "version": version,
                "labels": sorted(name for name, at in labels.get(model, {}).items() if at == version),
                "whole": not (faults := store.faults(root, model, version)),
                "faults": faults,
            }
            for version in store.versions(root, model)
        ]
        for model in store.models(root)
    }
    if as_json:
        print_json({"store": str(root), "models": found})
        return
    rows = [
        (
            model,
            entry["version"],
            ", ".join(entry["labels"]),
            "whole" if entry["whole"] else "corrupt",
        )
        for model, entries in found.items()
        for entry in entries
    ]
    print_table(f"Models in {root}", ("model", "version", "labels", "files"), rows)


@models.command()
@click.argument("version", type=int)
@click.option("--label", default="stable", show_default=True, help="The label to move.")
@json_option
def promote(version: int, label: str, as_json: bool) -> None:
    """Point a label at VERSION, for every model that has it."""
    from serving import store

    moved = store.promote(Home.from_env().models, version, label)
    if as_json:
        print_json({"label": label, "version": version, "models": moved})
    else:
        click.echo(f"{label} is version {version} of {', '.join(moved)}")


@models.command()
@json_option
def rollback(as_json: bool) -> None:
    """Move `stable` back to the next older whole version."""
    from serving import store

    version = store.rollback(Home.from_env().models)
    if as_json:
        print_json({"label": store.STABLE, "version": version})
    else:
        click.echo(f"{store.STABLE} is version {version}")

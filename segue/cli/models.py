"""`segue models`: what is in the model store, and which version answers."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import click

from segue.cli.output import json_option, print_json, print_table
from segue.settings import Home

server_option = click.option(
    "--server",
    envvar="SEGUE_MODEL_SERVER",
    metavar="HOST:PORT",
    help="Move the labels in this running server first; if it refuses, nothing changes. Without it only models.config "
    "is written, which `segue serve` follows.  [env: SEGUE_MODEL_SERVER]",
)


@click.group()
def models() -> None:
    """List, promote and roll back model versions.

    Callers ask for the label `stable`; `canary` is a candidate beside it. A request that names no label is answered by
    the newest loaded version, as in TensorFlow Serving.
    """


@models.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Show every version: its labels, when it was pushed, and whether its files are the ones that were pushed."""
    from serving import store
    from serving.versions import pushed_at

    root = Home.from_env().models
    labels = store.labels(root)
    found: dict[str, list[dict[str, Any]]] = {
        model: [
            {
                "version": version,
                "labels": sorted(name for name, at in labels.get(model, {}).items() if at == version),
                "pushed": (at := pushed_at(root, model, version)) and at.isoformat(timespec="seconds"),
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
            (entry["pushed"] or "")[:16].replace("T", " "),
            "whole" if entry["whole"] else "corrupt",
        )
        for model, entries in found.items()
        for entry in entries
    ]
    print_table(f"Models in {root}", ("model", "version", "labels", "pushed (UTC)", "files"), rows)


@models.command()
@click.argument("version", type=int, required=False)
@click.option("--label", default="stable", show_default=True, help="The label to move.")
@server_option
@json_option
def promote(version: int | None, label: str, server: str | None, as_json: bool) -> None:
    """Point a label at VERSION, for every model that has it.

    Without VERSION the canary becomes stable. A canary at the version that becomes stable loses its label; all models
    move together.
    """
    from serving import store

    moved = store.promote(Home.from_env().models, version, label, told(server))
    report(label, moved, as_json)


@models.command()
@server_option
@json_option
def rollback(server: str | None, as_json: bool) -> None:
    """Drop the canary, if there is one; else move `stable` back to the version before.

    With a canary, `stable` stays where it is: call it again to move `stable` as well. `stable` goes back, for the
    models that were pushed last, to the version that was stable before, or to the next older whole one.
    """
    from serving import store

    report(*store.rollback(Home.from_env().models, told(server)), as_json)


def told(server: str | None) -> Callable[[str, str], None] | None:
    """How to tell a running server of labels that move; None without one."""
    if server is None:
        return None
    from serving.relabel import move_labels

    return partial(move_labels, server)


def report(label: str, moved: Mapping[str, int | None], as_json: bool) -> None:
    """Print where a label is now; a version of None: nowhere."""
    if as_json:
        print_json({"label": label, "models": dict(moved)})
        return
    for version in dict.fromkeys(moved.values()):
        names = ", ".join(name for name, at in moved.items() if at == version)
        click.echo(f"{label} of {names} is dropped" if version is None else f"{label} is version {version} of {names}")

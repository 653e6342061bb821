"""`segue models`: what is in the model store, and which version answers."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from cli.output import json_option, print_json, print_table
from cli.quiet import quiet_libraries
from segue.errors import InputError, SegueError
from segue.settings import Home

if TYPE_CHECKING:
    import pyarrow as pa

server_option = click.option(
    "--server",
    envvar="SEGUE_MODEL_SERVER",
    metavar="HOST:PORT",
    help="Move the labels in this running server first; if it refuses, nothing changes. Without it only models.config "
    "is written, which `segue serve` follows.  [env: SEGUE_MODEL_SERVER]",
)


@click.group()
def models() -> None:
    """List, promote and roll back model versions, and add items to them.

    Callers ask for the label `stable`; `canary` is a candidate beside it. A request that names no label is answered by
    the newest loaded version, as in TensorFlow Serving.
    """


@models.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Show every version: its labels, when it was pushed, and whether its files are the ones that were pushed."""
    from serving.store import model_store as store
    from serving.store.versions import pushed_at

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
    from serving.store import model_store as store

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
    from serving.store import model_store as store

    report(*store.rollback(Home.from_env().models, told(server)), as_json)


@models.command("add-items")
@click.option(
    "--items", "file", required=True, type=click.Path(path_type=Path), help=".parquet, .csv, or a folder of Parquet."
)
@click.option("--at", help="As of when their age is taken, ISO 8601.  [default: the end of the imported log]")
@json_option
def add_items(file: Path, at: str | None, as_json: bool) -> None:
    """Make items that came out since the last training recommendable, without training.

    The file has the columns of the imported items. An item that the models know already is replaced. The stable
    models with these items are pushed as a new stable version; `segue models rollback` takes it back.
    """
    home = Home.from_env()
    from models.saved.card import read_card
    from serving.store import model_store as store

    saved = {model: store.served(home.models, model) for model in ("retrieval", "ranking", "sequence")}
    card = read_card(saved["retrieval"])
    items = read_items(file)  # what can be refused is, before anything slow is imported
    with quiet_libraries():
        from feature_repo.online import state
        from models.saved import added_items as delta

    from cli.recommend import instant

    moment = instant(at or state(home)["last_event"])
    with TemporaryDirectory(prefix="segue-add-items-") as folder:
        out = {model: Path(folder) / model for model in saved}
        with quiet_libraries():
            result = delta.add_items(saved, profiles(items, card), moment, out)
        if any(store.served(home.models, model) != path for model, path in saved.items()):
            raise SegueError(
                "Another version became stable in the meantime.", "Add the items to that one: run it again."
            )
        version = store.push(home.models, out)
    if as_json:
        print_json({"version": version, **result})
        return
    click.echo(f"stable is version {version}: {len(result['added'])} items added, {len(result['updated'])} replaced")
    click.echo(f"There is room for {result['free']} more until the next training.")


def read_items(file: Path) -> "pa.Table":
    """Items of a file by `events.schema`, held against the rules of an import; one bad row refuses them all.

    Raises:
        InputError: a rule is broken; names file, row and rule.
    """
    from events import canonical as columns
    from events import checks, schema
    from events.importers import tabular

    table, source = tabular.read_file(file, tabular.CANONICAL)
    table = columns.conform(table, schema.ITEMS, source)
    checks.stop_on_broken_table("items", table, source, latest=None)
    positions, reasons = checks.broken(checks.item_rules({"items": table}))
    if len(positions):
        checks.stop(source, positions[0], reasons[0], "Correct the row or leave it out: all are added, or none.")
    return table


def profiles(items: "pa.Table", card: dict) -> "pa.Table":
    """Items as the models with a card take them, with their titles.

    Raises:
        InputError: the card does not name the genres.
    """
    import ibis

    from events.schema import EARLIEST
    from feature_repo import transformations as T
    from feature_repo.engine import duckdb_engine

    if "genres" not in card:
        raise InputError(
            "Items are weighed by the genres that the served models know; their card does not name them.",
            "Run `segue run training` to export models of this version.",
        )
    with duckdb_engine() as engine:
        table = ibis.memtable(items)
        profile = T.item_profile(table, card["genres"], card["content_types"], EARLIEST).drop("event_timestamp")
        described = profile.join(T.item_content(table), "item_id").join(table.select("item_id", "title"), "item_id")
        return engine.to_pyarrow(described.order_by("item_id"))


def told(server: str | None) -> Callable[[str, str], None] | None:
    """How to tell a running server of labels that move; None without one."""
    if server is None:
        return None
    from serving.store.relabel import move_labels

    return partial(move_labels, server)


def report(label: str, moved: Mapping[str, int | None], as_json: bool) -> None:
    """Print where a label is now; a version of None: nowhere."""
    if as_json:
        print_json({"label": label, "models": dict(moved)})
        return
    for version in dict.fromkeys(moved.values()):
        names = ", ".join(name for name, at in moved.items() if at == version)
        click.echo(f"{label} of {names} is dropped" if version is None else f"{label} is version {version} of {names}")

"""`segue models`: list the versions in the model store, move their labels, add items, and show example requests."""

from collections.abc import Mapping
from functools import partial
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import checked_address, file_options, mapping_of
from cli.output import json_option, print_json, print_table
from cli.quiet import quiet_libraries, stdout_to_stderr
from segue.clock import utc_now
from segue.settings import Home
from segue.terminal import say

if TYPE_CHECKING:
    from serving.store.moving import Announce

server_option = click.option(
    "--server",
    envvar="SEGUE_MODEL_SERVER",
    callback=checked_address,
    metavar="HOST:PORT",
    help="Move the labels in this running server first; if it refuses, nothing changes. On the way back the server "
    "comes last. Without it only models.config is written, which `segue serve` follows.  [env: SEGUE_MODEL_SERVER]",
)
reason_option = click.option("--reason", default="", help="The reason; `segue models show` has it.")


@click.group()
def models() -> None:
    """List, promote and roll back model versions, add items to them, and ask them.

    Callers ask for the label `stable`; `canary` is a candidate beside it, or what is stable if there is no candidate. A
    request without a label gets the newest loaded version, as in TensorFlow Serving.
    """


@models.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the versions of each model: labels, time of the push, and whether the files are as they were pushed."""
    from serving.store import model_store
    from stores.parts import MODELS, home_with
    from workloads.operating.model_versions import version_entries

    root = home_with(MODELS).models
    listing = {model: version_entries(root, model) for model in model_store.models(root)}
    if as_json:
        print_json({"store": str(root), "models": listing})
        return
    rows = [
        (
            model,
            entry["version"],
            ", ".join(entry["labels"]),
            (entry["pushed"] or "")[:16].replace("T", " "),
            "whole" if entry["whole"] else "corrupt",
        )
        for model, entries in listing.items()
        for entry in entries
    ]
    print_table(f"Models in {root}", ("model", "version", "labels", "pushed (UTC)", "files"), rows)


@models.command("show")
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show the model NAME: the lineage and the figures of each version, and who moved its labels, when and why."""
    from stores.parts import MODELS, home_with
    from workloads.operating.model_versions import model_detail

    detail = model_detail(home_with(MODELS), name)
    if as_json:
        print_json(detail)
        return
    metrics = sorted({metric for entry in detail["versions"] for metric in entry["figures"]})
    rows = [
        ("labels", *(", ".join(entry["labels"]) for entry in detail["versions"])),
        ("run", *(entry["lineage"]["run"] or "" for entry in detail["versions"])),
        ("data until", *((entry["lineage"]["split"] or {}).get("end", "")[:10] for entry in detail["versions"])),
        *((metric, *(entry["figures"].get(metric, "") for entry in detail["versions"])) for metric in metrics),
    ]
    print_table(name, ("", *(f"version {entry['version']}" for entry in detail["versions"])), rows)
    for each in detail["decisions"]:
        versions = ", ".join(f"{model} {version or 'none'}" for model, version in each["versions"].items())
        say(f"{each['at'][:16]} {each['by']}: {each['action']}, {each['label']} is {versions}. {each['why']}")


@models.command()
@click.argument("version", type=int, required=False)
@click.option("--label", default="stable", show_default=True, help="The label to move.")
@server_option
@reason_option
@json_option
def promote(version: int | None, label: str, server: str | None, reason: str, as_json: bool) -> None:
    """Point a label at VERSION, for every model that has it.

    Without VERSION the candidate becomes stable, and keeps the label `canary`. The labels of all models move together.
    The candidate of a roll-out ends it as promoted; another version waits for its end.
    """
    from rollout.label_decisions import promote as decide

    home, mover = home_with_models(), label_mover(server)
    report(decide(home, version, label, reason, getuser(), utc_now(), mover), as_json)
    finish(home, mover)


@models.command()
@server_option
@reason_option
@json_option
def rollback(server: str | None, reason: str, as_json: bool) -> None:
    """Take the candidate back if there is one. Otherwise move `stable` back to the version before.

    With a candidate, `canary` moves to what is stable, and a second call moves `stable`. The models that were pushed
    last go back to the version that was stable before, or to the next older version whose files are whole. The labels
    move in one write, also while a push or a promotion is at work. A roll-out ends as taken back.
    """
    from rollout.label_decisions import roll_back
    from serving.store.label_file import config_text

    home, mover = home_with_models(), label_mover(server)
    before = config_text(home.models)
    report(roll_back(home, reason, getuser(), utc_now()), as_json)
    try:
        if mover is not None:
            mover(before, config_text(home.models), partial(config_text, home.models))
    finally:
        finish(home)


@models.command()
@click.argument("label")
@server_option
@reason_option
@json_option
def drop(label: str, server: str | None, reason: str, as_json: bool) -> None:
    """Remove LABEL from all models. The versions stay; `stable` and `canary` can only move."""
    from serving.store import model_store
    from stores import parts
    from workloads.operating.decisions import decide

    home, mover = Home.from_env(), label_mover(server)
    root = home.models

    def dropped() -> dict[str, Any]:
        goal = {name: None for name, names in model_store.labels(root).items() if label in names}
        by, at = getuser(), utc_now()
        return decide(
            home, "drop", lambda: (label, model_store.drop(root, label, mover)), reason, by, at, (label, goal)
        )

    decision = parts.change(home, parts.MODELS, dropped)
    finish(home)
    report(decision, as_json)


@models.command()
@click.argument("name")
@click.option("--label", default="stable", show_default=True, help="The label of the version to ask.")
@click.option("--signature", default="serving_default", show_default=True, help="The signature to run.")
@json_option
def example(name: str, label: str, signature: str, as_json: bool) -> None:
    """Print a ready request to the model NAME for curl and for grpcurl, with values from the model's card.

    The commands ask a server on this machine: `segue serve --rest_api_port=8501`.
    """
    from segue.near_names import check_known
    from serving.client.example_request import example_commands
    from serving.store import model_store
    from stores.parts import MODELS, home_with

    root = home_with(MODELS).models
    labels = model_store.labels(root)
    check_known("model", name, labels)
    check_known(f"label of {name}", label, labels[name])
    commands = example_commands(root / name / str(labels[name][label]), name, label, signature)
    if as_json:
        print_json(commands)
        return
    for command in commands.values():
        say(command)


@models.command("add-items")
@click.option(
    "--items",
    "files",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="A table of items, as `segue data import parquet` takes it. Repeatable.",
)
@file_options
@click.option(
    "--at", help="The time at which the items' age is taken, ISO 8601.  [default: the end of the imported log]"
)
@server_option
@json_option
def add_items(
    files: tuple[Path, ...],
    pairs: tuple[str, ...],
    separator: str | None,
    encoding: str | None,
    at: str | None,
    server: str | None,
    as_json: bool,
) -> None:
    """Make items that were released since the last training recommendable, without training.

    The files are read as an import reads its items. An item that the models know already is replaced. The stable models
    are pushed with the items as a new stable version; `segue models rollback` takes it back. A candidate gets the items
    too, and its roll-out goes on.
    """
    from cli.surfaces.recommend import instant
    from events.importers.own.dialects import Dialect

    with quiet_libraries():
        from rollout import added_items

        moment, dialect, home = instant(at) if at else None, Dialect(separator, encoding), home_with_models()
        result = added_items.add_items(
            home, files, moment, mapping_of(pairs), dialect, getuser(), utc_now, label_mover(server)
        )
        finish(home)
    if as_json:
        print_json(result)
        return
    for note in result["notes"]:
        say(f"Mapped: {note}")
    added, replaced = len(result["added"]), len(result["updated"])
    beside = f", the candidate version {result['candidate']}" if result["candidate"] else ""
    say(f"stable is version {result['version']}{beside}: {added} items added, {replaced} replaced")
    say(f"There is room for {result['free']} more until the next training.")


def home_with_models() -> Home:
    """Return the home of this process with its newest models."""
    from stores.parts import MODELS, home_with

    return home_with(MODELS)


def finish(home: Home, mover: "Announce | None" = None) -> None:
    """Let all that follows the labels agree with them, and say what does not yet. The labels have moved by now."""
    from rollout.reconcile import reconcile

    with stdout_to_stderr():
        problems = reconcile(home, utc_now(), mover)
    for problem in problems:
        say(f"{problem} The next command tries again.", fg="yellow", err=True)


def label_mover(server: str | None) -> "Announce | None":
    """Return the function that moves labels in a running server; None without a server."""
    if server is None:
        return None
    from serving.store.relabel import move_labels

    return partial(move_labels, server)


def report(decision: Mapping[str, Any], as_json: bool) -> None:
    """Print the version that a label names now, by model; None means that the label was removed."""
    label, moved = decision["label"], decision["versions"]
    if as_json:
        print_json({"label": label, "models": moved})
        return
    for version in dict.fromkeys(moved.values()):
        names = ", ".join(name for name, at in moved.items() if at == version)
        say(f"{label} of {names} is dropped" if version is None else f"{label} is version {version} of {names}")

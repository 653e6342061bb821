"""`segue runs`: the runs of pipelines on this machine, their logs, and a way to stop them."""

import time

import click

from cli.output import json_option, print_json, print_table
from segue.errors import InputError
from segue.near_names import check_known
from segue.settings import Home, RunFolder
from segue.terminal import say

POLL_SECONDS = 0.3

run_argument = click.argument("run", required=False)


@click.group()
def runs() -> None:
    """List runs, follow a run's log, stop a run. Without RUN the newest run is meant."""


@runs.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List all runs, oldest first: what each is doing, or how it ended."""
    from pipelines.run_state import state, words

    states = [state(run) for run in Home.from_env().run_folders()]
    if as_json:
        print_json({"runs": [{name: each[name] for name in ("run", "status", "reason")} for each in states]})
    elif states:
        print_table("Runs", ("run", "state"), [(each["run"], words(each)) for each in states])
    else:
        say("No run yet. Start one: segue run training")


@runs.command()
@run_argument
@click.option("--follow", is_flag=True, help="Print what the run adds, until it ends.")
def log(run: str | None, follow: bool) -> None:
    """Print a run's log."""
    from pipelines.run_state import holder

    folder = chosen(run)
    if not folder.log.is_file():
        raise InputError(f"{folder.path.name} has no log in {folder.path}.", "Runs on a cluster keep their logs there.")
    with folder.log.open(encoding="utf-8", errors="replace") as file:
        alive = True
        while alive:
            alive = follow and holder(folder) is not None  # asked before reading, so the last lines are read too
            while line := file.readline():
                say(line.rstrip("\n"))
            if alive:
                time.sleep(POLL_SECONDS)


@runs.command()
@run_argument
@json_option
def stop(run: str | None, as_json: bool) -> None:
    """End a running run with all its steps, as Ctrl-C in its terminal does. Nothing half-done is left."""
    from pipelines import run_state

    folder = chosen(run)
    run_state.stop(folder)
    ended = run_state.state(folder)
    if as_json:
        print_json({name: ended[name] for name in ("run", "status", "reason")})
    else:
        say(f"{ended['run']}: {run_state.words(ended)}")


def chosen(name: str | None) -> RunFolder:
    """Return the folder of the named run, or of the newest run.

    Raises:
        InputError: there is no such run.
    """
    folders = {run.path.name: run for run in Home.from_env().run_folders()}
    if not folders:
        raise InputError("There is no run in this home yet.", "Start one: `segue run training`.")
    if name is None:
        return list(folders.values())[-1]
    check_known("run", name, folders)
    return folders[name]

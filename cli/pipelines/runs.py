"""The runs of pipelines, here or on Kubeflow: list them, how each is doing, their logs, and a way to end them.

`segue runs` has these commands, and `segue run` has the same ones beside the pipelines.
"""

import time

import click

from cli.output import json_option, print_json, print_table
from cli.pipelines import cluster, places
from segue.errors import InputError
from segue.files import read_json
from segue.near_names import check_known
from segue.settings import Home, RunFolder
from segue.terminal import say

POLL_SECONDS = 0.3

run_argument = click.argument("run", required=False)


@click.group()
def runs() -> None:
    """List runs, follow a run's log, stop a run. Without RUN the newest run is meant."""


@runs.command("list")
@places.place_options
@json_option
def list_(on: str, host: str | None, as_json: bool) -> None:
    """List all runs, oldest first: what each is doing, or how it ended. Of a cluster the newest 100."""
    from pipelines.run_state import state, words

    places.require_kfp(on, host)
    if on == places.KFP:
        states = cluster.listed(places.cluster(host)[1])
    else:
        states = [state(run) for run in Home.from_env().run_folders()]
    if as_json:
        print_json({"runs": [{name: each[name] for name in ("run", "status", "reason")} for each in states]})
    elif states:
        print_table("Runs", ("run", "state"), [(each["run"], words(each)) for each in states])
    else:
        say(f"No run yet. Start one: segue run training{' --on kfp' if on == places.KFP else ''}")


@runs.command()
@run_argument
@places.place_options
@click.option("--wait", is_flag=True, help="Wait until the run ends, and end with its exit code: 0, 1, 2 or 75.")
@json_option
def status(run: str | None, on: str, host: str | None, wait: bool, as_json: bool) -> None:
    """Show how a run is doing: each step, its verdict and its reason. --json has its evaluation too."""
    from pipelines import run_state
    from workloads.operating.run_detail import run_detail

    places.require_kfp(on, host)
    if on == places.KFP:
        from pipelines.kubeflow.runs import chosen as chosen_remotely

        installation = places.cluster(host)[1]
        if wait:
            return cluster.follow_to_end(installation, chosen_remotely(installation, run).run_id, as_json)
        result = cluster.state(installation, run)
    else:
        folder = chosen(run)
        while wait and run_state.holder(folder) is not None:
            time.sleep(POLL_SECONDS)
        result = run_detail(folder, run_state.state)
        if wait and result["status"] == "failed":
            from pipelines.runner import failure
            from pipelines.runner import places as paths

            raise failure(read_json(folder.request)["pipeline"], result | paths(folder))
    if as_json:
        print_json(result)
    else:
        show(result)


def show(result: dict) -> None:
    """Print how a run is doing, and each of its steps."""
    from pipelines.run_state import words
    from workloads.outcome import verdict

    say(f"{result['run']}: {words(result)}")
    rows = [
        (name, record["status"], f"{record['seconds']:.1f} s" if record.get("seconds") else "", verdict(record))
        for name, record in result["steps"].items()
    ]
    if rows:
        print_table("Steps", ("step", "status", "time", "verdict"), rows)
    if "link" in result:
        say(result["link"])


@runs.command()
@run_argument
@places.place_options
@click.option("--follow", is_flag=True, help="Print what the run adds, until it ends.")
def log(run: str | None, on: str, host: str | None, follow: bool) -> None:
    """Print a run's log; of a run on a cluster, the command for its steps' logs, which Kubernetes keeps."""
    from pipelines.run_state import holder

    places.require_kfp(on, host)
    if on == places.KFP:
        return say(cluster.log_command(places.cluster(host)[1], run, follow))
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
@places.place_options
@json_option
def stop(run: str | None, on: str, host: str | None, as_json: bool) -> None:
    """End a running run with all its steps, as Ctrl-C in its terminal does. Nothing half-done is left."""
    from pipelines import run_state

    places.require_kfp(on, host)
    if on == places.KFP:
        installation = places.cluster(host)[1]
        ended = cluster.state(installation, cluster.stop(installation, run))
    else:
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

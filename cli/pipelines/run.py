"""`segue run` and `segue compile`: the pipelines on this machine or on a cluster."""

from pathlib import Path

import click

from cli.output import json_option, print_json
from cli.pipelines import cluster, places, runs, schedule
from segue.clock import utc_now
from segue.errors import SegueError
from segue.files import read_json
from segue.settings import Home, RunFolder, image
from segue.terminal import say


@click.group()
def run() -> None:
    """Run a pipeline: training, monitoring or search. Follow, list, end and schedule runs."""


run.add_command(runs.list_)
run.add_command(runs.status)
run.add_command(runs.log, "logs")
run.add_command(runs.stop)
run.add_command(schedule.schedule)


def pipeline_options(command):
    """Add the options that all pipelines share to a command."""
    for option in (
        places.place_options,
        click.option("--wait", is_flag=True, help="With --on kfp: follow the run to its end."),
        click.option("--config", type=click.Path(path_type=Path), help="Settings in YAML; docs/models.md lists them."),
        click.option("--seed", type=int, help="Overrides the configuration's seed."),
        json_option,
    ):
        command = option(command)
    return command


@run.command()
@pipeline_options
@click.option("--reason", default="", help="The reason, for who reads it later: `segue runs status --json` has it.")
def training(on, host, wait, config, seed, as_json, reason) -> None:
    """Train and evaluate all models, and push them if they pass every gate.

    A gate that stops the run is a result, not a failure: the exit code is 0, nothing is pushed, and the report names
    the reason. So is a step that fails after the push: the models serve, and the reason names the step.
    """
    execute("training", on, host, wait, config, seed, as_json, why=reason)


@run.command()
@pipeline_options
def monitoring(on, host, wait, config, seed, as_json) -> None:
    """Score the newest span with the served model, and compare it with the span that the model was pushed on."""
    execute("monitoring", on, host, wait, config, seed, as_json)


@run.command()
@pipeline_options
@click.option("--trials", type=int, help="Overrides the configuration's number of trials.")
def search(on, host, wait, config, seed, as_json, trials) -> None:
    """Try random settings of one model and write the best ones to the run's best.yaml.

    Trials are judged on the validation span. Nothing is pushed; pass best.yaml as --config to `segue run training`.
    """
    execute("search", on, host, wait, config, seed, as_json, trials)


def execute(
    name: str,
    on: str,
    host: str | None,
    wait: bool,
    config: Path | None,
    seed: int | None,
    as_json: bool,
    trials: int | None = None,
    why: str = "",
) -> None:
    """Run a pipeline and print its outcome. A run on this machine records why it was started."""
    from cli.pipelines.progress import Steps
    from cli.pipelines.search import trial_steps
    from models.training_config import load

    places.require_kfp(on, host)
    settings = load(config).to_dict()
    if seed is not None:
        settings["seed"] = seed
    if trials is not None:
        settings["search"]["trials"] = trials
    trial_names = trial_steps(settings)  # refuses what the search would refuse, before any pipeline runs
    if on == places.KFP:
        return cluster.submit(name, settings, host, wait, as_json)
    from events.dataset import require
    from feature_repo.preflight import require_labels
    from pipelines import steps
    from pipelines.runner import run_locally
    from stores.parts import DATA, bring
    from tracking.address import tracking_uri
    from tracking.client import require_answer

    home = Home.from_env()
    bring(home, DATA)
    require(home.data)
    require_answer(tracking_uri(home))  # while nothing is lost yet
    if name == "training" or (name == "search" and settings["search"]["model"] == "ranking"):
        require_labels(home.data, settings["split"], "test" if name == "training" else "validation")
    names = [*steps(name), *(trial_names if name == "search" else [])]
    with Steps(names, quiet=as_json) as progress:
        result = run_locally(home, name, settings, utc_now(), progress.update, progress.say, why)
    if name == "search":
        result["search"] = read_json(RunFolder(Path(result["folder"])).search)
    if as_json:
        print_json(result)
    else:
        show(home, result)
    if result["status"] == "pushed":
        roll_out(result["steps"]["push"]["result"])


def roll_out(pushed: dict) -> None:
    """Roll the pushed models out if a label says that they are a candidate, and say what serves them."""
    from cli.models import finish, home_with_models
    from rollout.moves import settle
    from rollout.plan import Plan
    from rollout.waiting import try_waiting

    version, label = pushed["version"], pushed["label"]
    rollout = None
    if label == "canary":
        try:
            root = home_with_models().models
            settle(root, utc_now())  # the candidate before may have drained since
            rollout = try_waiting(root, Plan(), utc_now()).rollout
        except SegueError as error:
            say(f"Version {version} is not tried yet: {error} `segue rollout look` tries it.", fg="yellow", err=True)
            return
    finish(Home.from_env())
    if rollout is not None and version in rollout.candidate.values():
        say(
            f"Roll-out {rollout.number} tries version {version}; everybody else gets what was stable before. "
            "`segue rollout look` decides, and `segue models promote` serves it at once.",
            err=True,
        )
    elif label != "stable":
        say(f"A roll-out tries another version. Afterwards: `segue rollout start {version}`.", fg="yellow", err=True)


def show(home: Home, result: dict) -> None:
    """Print the outcome of a local run: the reason, the evaluation, and the places of its results."""
    from cli.evaluation import show_evaluation, show_places
    from cli.pipelines.search import show_search
    from pipelines.run_state import words

    incomplete = result["status"] == "stopped" or result["failed_step"]
    say(f"{result['run']}: {words(result)}", fg="yellow" if incomplete else "green")
    if failed := result["failed_step"]:
        say(f"The models are pushed all the same; the next training repeats {failed}. The log is {result['log']}.")
    if result["not_tracked"]:
        say(f"not tracked: {result['not_tracked']} The next run sends the record.", fg="yellow")
    run = RunFolder(Path(result["folder"]))
    show_evaluation(run)
    if "search" in result:
        show_search(result["search"])
        say(f"train with it: segue run training --config {result['folder']}/best.yaml")
    show_places(home, run)


@click.command("compile")
@click.option("--out", type=click.Path(path_type=Path), default="build/pipelines", show_default=True)
@click.option(
    "--image", "reference", metavar="NAME", help="The image of all steps.  [default: SEGUE_IMAGE, or segue:VERSION]"
)
@click.option("--manifests", is_flag=True, help="Also write Pipeline and PipelineVersion objects for kubectl apply.")
@json_option
def compile_(out: Path, reference: str | None, manifests: bool, as_json: bool) -> None:
    """Compile the pipelines to YAML for a Kubeflow cluster."""
    from pipelines.kubeflow.package import compile_all

    paths = compile_all(out, reference or image(), manifests)
    if as_json:
        print_json({"pipelines": [str(path) for path in paths]})
    else:
        for path in paths:
            say(str(path))

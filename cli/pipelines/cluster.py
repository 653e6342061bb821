"""Submits runs to Kubeflow Pipelines, follows them, and prints how they are doing."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from cli.output import print_json
from cli.pipelines.places import cluster
from segue.clock import utc_now
from segue.files import read_json
from segue.settings import RunFolder, image
from segue.terminal import say

if TYPE_CHECKING:
    from pipelines.kubeflow.preflight import Installation

MOST_PODS = 50  # whose logs kubectl follows at once; a run with a search of 20 trials has 27
INTERRUPTED = 130  # the exit code of a command that Ctrl-C ends


def submit(name: str, config: dict[str, Any], host: str | None, wait: bool, as_json: bool) -> None:
    """Check the installation and the bucket, submit a run, and follow it if asked."""
    from pipelines.kubeflow import follow, preflight, runs

    settings, installation = cluster(host)
    preflight.require_data(settings)
    run_id = runs.submit(installation, name, config, image(), utc_now())
    link = installation.kubeflow.link(run_id)
    say(f"{run_id}: {name} in the image {image()}, {link}", err=as_json)
    if wait:
        follow_to_end(installation, run_id, as_json)
    elif as_json:
        print_json({"run": run_id, "link": link})
    else:
        say(f"follow it: {follow.come_back(installation.kubeflow, run_id)}")


def follow_to_end(installation: "Installation", run_id: str, as_json: bool) -> None:
    """Follow a run until it ends, and print its outcome. Ctrl-C ends only the following.

    Raises:
        PipelineFailed: a step failed, and nothing was pushed.
        SystemExit: Ctrl-C.
    """
    from cli.pipelines.progress import Steps
    from pipelines import steps
    from pipelines.kubeflow import follow, runs

    kubeflow = installation.kubeflow
    try:
        names = steps(runs.pipeline_of(runs.get(kubeflow, run_id)))
        with TemporaryDirectory() as temporary:
            folder = RunFolder(Path(temporary) / run_id)
            with Steps(names, quiet=as_json) as progress:
                result = follow.follow(kubeflow, run_id, folder, progress.update, progress.say)
            show_end(folder, result, as_json)
    except KeyboardInterrupt:
        say(f"The run goes on. Follow it: {follow.come_back(installation.kubeflow, run_id)}", err=True)
        raise SystemExit(INTERRUPTED) from None


def show_end(folder: RunFolder, result: dict[str, Any], as_json: bool) -> None:
    """Print the outcome of a run that has ended: the reason, the evaluation, the search, and where its records are."""
    from cli.evaluation import show_evaluation
    from cli.pipelines.search import show_search
    from pipelines.run_state import words
    from stores.records import prefix
    from stores.settings import settings

    place = f"{settings().objects}/{prefix(folder)}"
    search = read_json(folder.search) if folder.search.is_file() else None
    if as_json:
        print_json(result | {"records": place} | ({"search": search} if search else {}))
        return
    incomplete = result["status"] == "stopped" or result["failed_step"]
    say(f"{result['run']}: {words(result)}", fg="yellow" if incomplete else "green")
    if result["not_tracked"]:
        say(f"not tracked: {result['not_tracked']} The next run sends the record.", fg="yellow")
    show_evaluation(folder)
    if search:
        show_search(search)
    say(f"records  {place}")
    say(f"page     {result['link']}")


def state(installation: "Installation", run_id: str | None) -> dict[str, Any]:
    """Return how a run is doing, or the newest run."""
    from pipelines.kubeflow import runs

    run = runs.chosen(installation, run_id)
    with TemporaryDirectory() as temporary:
        return runs.state(installation.kubeflow, run, RunFolder(Path(temporary) / run.run_id))


def listed(installation: "Installation") -> list[dict[str, str]]:
    """Return the newest runs, oldest first: `run`, its id; `status`, of the API; `reason`, its name and start."""
    from pipelines.kubeflow import runs

    return [
        {
            "run": run.run_id,
            "status": str(run.state).lower(),
            "reason": f"{run.display_name}, since {run.created_at:%Y-%m-%d %H:%M} UTC",
        }
        for run in runs.listed(installation)
    ]


def log_command(installation: "Installation", run_id: str | None, follow: bool) -> str:
    """Return the command that prints the logs of a run's steps, which Kubernetes keeps and the API does not have.

    It selects the pods by the run, because the API names Argo's nodes, which are not all names of pods.
    """
    from pipelines.kubeflow import runs

    run = runs.chosen(installation, run_id)
    how = f"--follow --max-log-requests {MOST_PODS}" if follow else "--tail -1"
    return f"kubectl logs -n {installation.pods} --selector pipeline/runid={run.run_id} --container main --prefix {how}"


def stop(installation: "Installation", run_id: str | None) -> str:
    """End a run with its steps, and return its id."""
    from pipelines.kubeflow import runs

    run = runs.chosen(installation, run_id)
    runs.stop(installation.kubeflow, run.run_id)
    return str(run.run_id)

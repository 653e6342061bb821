"""Report: how the run ended, always, in its folder and in MLflow."""

from segue.files import write_json
from workloads.outcome import outcome
from workloads.run import Run


def step(run: Run) -> None:
    """Say how the run ended."""
    from tracking.runs import end_search, log_run, text_tags

    with run.step(__name__):
        ended = outcome(run.folder)
        tags = text_tags({"status": ended["status"], "reason": ended["reason"]})
        search = ended["steps"].get("plan-trials", {}).get("result", {}).get("search")
        if search:
            end_search(run.home.tracking_uri, search, tags, ended["status"] == "failed")
        elif "register" not in ended["steps"]:  # a run that got that far is recorded with its models
            log_run(run.home.tracking_uri, run.home.tracking_artifacts, run.id, run.parameters, {}, tags, [])
        write_json(run.folder.report, ended)

"""Report: write the outcome of the run to its folder and to MLflow. It always runs, also after a failure."""

from segue.files import write_json
from workloads.outcome import outcome
from workloads.run import Run


def step(run: Run) -> None:
    """Write the run's outcome to its folder, and to MLflow unless the step `register` did."""
    from tracking.runs import end_search, log_run, text_tags

    with run.step(__name__):
        result = outcome(run.folder)
        tags = text_tags({"status": result["status"], "reason": result["reason"]})
        search = result["steps"].get("plan-trials", {}).get("result", {}).get("search")
        if search:
            end_search(run.home.tracking_uri, search, tags, result["status"] == "failed")
        elif "register" not in result["steps"]:  # `register` records the run with its models
            log_run(run.home.tracking_uri, run.home.tracking_artifacts, run.id, run.parameters, {}, tags, [])
        write_json(run.folder.report, result)

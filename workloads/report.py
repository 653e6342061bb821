"""Report: write the outcome of the run to its folder and to MLflow. It always runs, also after a failure."""

from typing import Any

from segue.files import write_json
from tracking.outbox import track
from tracking.runs import EXPERIMENT, SEARCHES, text_tags
from workloads.outcome import outcome
from workloads.run import Run


def step(run: Run) -> None:
    """Write the run's outcome to its folder, and to MLflow unless the step `register` did."""
    with run.step(__name__):
        result = outcome(run.folder)
        write_json(run.folder.report, result)  # the verdict does not wait for MLflow
        if "register" in result["steps"]:  # `register` records the run with its models
            return
        record: dict[str, Any] = {
            "experiment": EXPERIMENT,
            "params": run.parameters,
            "metrics": {},
            "tags": text_tags({"status": result["status"], "reason": result["reason"]}),
            "files": [],
            "failed": result["status"] == "failed",
            "trials": [],
            "version": None,
        }
        if "plan-trials" in result["steps"]:
            record |= search_record(run, result["steps"])
        track(run.home, run.folder, record)


def search_record(run: Run, steps: dict[str, Any]) -> dict[str, Any]:
    """Return what a search records: its trials, its reports, and the best trial's settings (`best.…`) and figure."""
    trials = [
        {
            "name": f"{run.id}-{name}",
            "params": step["result"]["values"],
            "history": step["result"]["history"],
            "metrics": {step["result"]["metric"]: step["result"]["objective"]},
        }
        for name, step in steps.items()
        if name.startswith("trial-") and step["status"] == "done"
    ]
    record: dict[str, Any] = {"experiment": SEARCHES, "trials": trials}
    search = steps.get("choose-trial", {}).get("result", {})
    if "best" in search:
        best = search["best"]
        settings = {f"best.{name}": value for name, value in best["values"].items()}
        record |= {"params": run.parameters | settings, "metrics": {search["metric"]: best["objective"]}}
        record["files"] = [run.folder.search.name, run.folder.best_configuration.name]
    return record

"""Report: always, whatever became of the run."""

from components.base import component


@component
def report(home: str, run_id: str, config: dict):
    """Say how the run ended, in the run's folder and in MLflow."""
    from components.step import step

    with step(home, run_id, "report"):
        from components.outcome import outcome
        from segue.files import write_json
        from segue.settings import Home
        from serving.registry import end_search, log_run, text_tags

        place = Home.at(home)
        ended = outcome(place.run(run_id))
        tags = text_tags({"status": ended["status"], "reason": ended["reason"]})
        search = ended["steps"].get("plan-trials", {}).get("result", {}).get("search")
        if search:
            end_search(place.tracking_uri, search, tags, ended["status"] == "failed")
        elif "register" not in ended["steps"]:  # a run that got that far is recorded with its models
            log_run(place.tracking_uri, place.mlflow / "artifacts", run_id, config, {}, tags, [])
        write_json(place.run(run_id) / "report.json", ended)

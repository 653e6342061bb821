"""Trial: one model of a search, trained on the train span and judged on the validation span."""

from kfp.dsl import Dataset, Input

from components.base import component


@component
def trial(
    home: str, run_id: str, config: dict, training_set: Input[Dataset], catalogue: Input[Dataset], planned: dict
) -> dict:
    """Train, judge and record one trial; its model is not kept.

    Returns:
        What was planned, with `metric`, `objective` and `mlflow_run`.
    """
    from components.step import step

    number = int(planned["trial"])
    with step(home, run_id, f"trial-{number}") as result:
        from pathlib import Path
        from tempfile import TemporaryDirectory

        import pyarrow.parquet as pq

        from models.config import TrainingConfig
        from models.search import run_trial, typed
        from segue.settings import Home
        from serving.registry import log_trial

        settings = TrainingConfig.from_dict(config)
        values = typed(settings, planned["values"])
        items = pq.read_table(catalogue.path)
        result["values"] = values
        with TemporaryDirectory() as folder:
            found = run_trial(Path(training_set.path), items, run_id, settings, values, Path(folder) / "model")
        result.update(found)
        figures = {found["metric"]: found["objective"]}
        name = f"{run_id}-trial-{number}"
        logged = log_trial(Home.at(home).tracking_uri, planned["search"], name, values, found["history"], figures)
        judged = {"metric": found["metric"], "objective": found["objective"], "mlflow_run": logged}
        return {**planned, **judged}

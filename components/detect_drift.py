"""Detect drift: the served model's predictions and features on the newest span, by Evidently."""

from kfp.dsl import HTML, Dataset, Input, Output

from components.base import component


@component
def detect_drift(home: str, run_id: str, config: dict, training_set: Input[Dataset], page: Output[HTML]) -> bool:
    """Whether the newest span has drifted from what the served model was pushed on."""
    from components.step import step

    with step(home, run_id, "detect-drift") as result:
        import shutil
        from pathlib import Path

        from models.config import TrainingConfig
        from models.frames import prediction_frame
        from models.workloads import read_part
        from monitoring.report import compare_files
        from segue.files import atomic_path
        from segue.settings import Home
        from serving.store import served

        reports = Home.at(home).reports
        test = read_part(Path(training_set.path), "test")
        ranking = served(Home.at(home).models, "ranking")
        with atomic_path(reports / "current.parquet") as temporary:
            prediction_frame(ranking, test, TrainingConfig.from_dict(config).seed).to_parquet(temporary)
        result.update(compare_files(reports / "reference.parquet", reports / "current.parquet", reports))
        shutil.copyfile(reports / "drift.html", page.path)
        return result["drifted"]

"""Detect drift: the served model's predictions and features on the newest span, by Evidently."""

import shutil
from pathlib import Path

from segue.files import atomic_path
from workloads.run import Run


def step(run: Run, training_set: Path, page: Path) -> bool:
    """Whether the newest span has drifted from what the served model was pushed on.

    Args:
        run: the pipeline run.
        training_set: its training set.
        page: where Evidently's report is written.
    """
    from models.evaluation.frames import prediction_frame
    from monitoring.drift import compare_files
    from serving.store.model_store import served
    from workloads.training_set import read_part

    with run.step(__name__) as result:
        home = run.home
        test = read_part(training_set, "test")
        with atomic_path(home.current_window) as temporary:
            prediction_frame(served(home.models, "ranking"), test, run.config.seed).to_parquet(temporary)
        verdict = compare_files(home.reference_window, home.current_window, home.drift_verdict, home.drift_page)
        result.update(verdict.to_dict())
        shutil.copyfile(home.drift_page, page)
        return not verdict.passed

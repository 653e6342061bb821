"""Detect drift: compare the newest span with the reference of the stable models, by Evidently."""

import shutil
from pathlib import Path

from segue.files import atomic_path
from segue.verdict import Verdict
from stores import parts
from workloads.run import Run


def step(run: Run, training_set: Path, page: Path) -> bool:
    """Return whether the newest span has drifted from the span that the stable models were pushed on.

    Args:
        run: the pipeline run.
        training_set: the run's training set.
        page: the HTML file to write Evidently's report to.
    """
    from models.evaluation.frames import MAX_ROWS, prediction_frame
    from models.evaluation.held_out import predict_ranking
    from models.inputs.arrow_columns import sample
    from monitoring.drift import compare_files
    from serving.store.model_store import served
    from workloads.operating.agree import stable_reference
    from workloads.training_set import read_part

    with run.step(__name__, reads=(parts.MODELS,)) as result:
        home = run.home
        rows = sample(read_part(training_set, "test"), MAX_ROWS, run.config.seed)
        predictions = predict_ranking(served(home.models, "ranking"), rows)
        frame = prediction_frame(rows, predictions, run.config.seed)

        def compare() -> Verdict:
            with atomic_path(home.current_window) as temporary:
                frame.to_parquet(temporary)
            windows = stable_reference(home), home.current_window
            return compare_files(*windows, home.drift_verdict, home.drift_page, home.drift_snapshots)

        verdict = parts.change(home, parts.REPORTS, compare)
        result.update(verdict.to_dict())
        shutil.copyfile(home.drift_page, page)
        return not verdict.passed

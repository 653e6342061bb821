"""Validate data: compare the newest span with a reference by TFDV, and replay features to find future leaks."""

from dataclasses import replace
from pathlib import Path

from segue.files import write_json
from stores.parts import BASELINES
from workloads.run import Run


def step(run: Run, ingested: Path, features: Path, training_set: Path, page: Path, reference: Path) -> bool:
    """Return whether the newest span may be trained on.

    Args:
        run: the pipeline run.
        ingested: the run's log.
        features: the run's feature tables.
        training_set: the run's training set.
        page: the HTML file to write TFDV's report to.
        reference: the folder to write the newest span's schema and statistics to. If this run is pushed, later runs
            are compared with them.
    """
    from events.dataset import identity
    from events.ingest import read_manifest, read_split
    from feature_repo.leaks import check
    from models.evaluation.frames import scalar_frame
    from monitoring.validation import load_reference, make_reference, save_reference, validate
    from workloads.training_set import read_part

    with run.step(__name__, reads=(BASELINES,)) as result:
        parts = {name: read_part(training_set, name) for name in ("train", "validation", "test")}
        split = read_split(ingested)
        leaks = check(ingested, features, [split.train_end, split.validation_end], list(parts.values()))
        folder = run.home.baseline(identity(read_manifest(ingested)) or "unknown")
        baseline = load_reference(folder)
        train, newest = (scalar_frame(parts[name]) for name in ("train", "test"))
        save_reference(make_reference(newest, earlier=train), reference)
        expected = baseline or make_reference(train, judge_distance=False)
        verdict = validate(newest, expected, page)
        figures = {**verdict.figures, "leaks": leaks, "reference": str(folder) if baseline else "the train span"}
        verdict = replace(verdict, figures=figures)
        if leaks:
            reason = "; ".join([*leaks, *verdict.figures["anomalies"].values()])
            verdict = replace(verdict, passed=False, reason=reason)
        elif not verdict.passed:
            fix = f"correct the log, or, if the change is intended, remove {folder} and run again"
            verdict = replace(verdict, reason=f"{verdict.reason}; {fix}")
        result.update(verdict.to_dict())
        write_json(run.folder.validation, verdict.to_dict())
        return verdict.passed

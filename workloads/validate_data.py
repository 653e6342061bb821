"""Validate data: TFDV against the reference span, and the replay that finds future leaks."""

from dataclasses import replace
from pathlib import Path

from segue.files import write_json
from workloads.run import Run


def step(run: Run, ingested: Path, features: Path, training_set: Path, page: Path, reference: Path) -> bool:
    """Whether the newest span may be trained on.

    Args:
        run: the pipeline run.
        ingested: its log.
        features: its feature tables.
        training_set: its training set.
        page: where TFDV's report is written.
        reference: where the newest span's schema and statistics are written, for later runs if this one is pushed.
    """
    from events.ingest import read_manifest, read_split
    from feature_repo.leaks import check
    from models.evaluation.frames import scalar_frame
    from monitoring.validation import load_reference, make_reference, save_reference, validate
    from workloads.training_set import read_part

    with run.step(__name__) as result:
        parts = {name: read_part(training_set, name) for name in ("train", "validation", "test")}
        split = read_split(ingested)
        leaks = check(ingested, features, [split.train_end, split.validation_end], list(parts.values()))
        folder = run.home.baseline(read_manifest(ingested)["dataset"])
        kept = load_reference(folder)
        newest = scalar_frame(parts["test"])
        save_reference(make_reference(newest), reference)
        older = kept or make_reference(scalar_frame(parts["train"]), judge_distance=False)
        verdict = validate(newest, older, page)
        figures = {**verdict.figures, "leaks": leaks, "reference": str(folder) if kept else "the train span"}
        verdict = replace(verdict, figures=figures)
        if leaks:
            reason = "; ".join([*leaks, *verdict.figures["anomalies"].values()])
            verdict = replace(verdict, passed=False, reason=reason)
        elif not verdict.passed:
            fix = f"mend the log, or, if the change is meant, remove {folder} and run again"
            verdict = replace(verdict, reason=f"{verdict.reason}; {fix}")
        result.update(verdict.to_dict())
        write_json(run.folder.validation, verdict.to_dict())
        return verdict.passed

"""Validate data: TFDV against the reference span, and the replay that finds future leaks."""

from kfp.dsl import HTML, Dataset, Input, Output

from components.base import component


@component
def validate_data(
    home: str,
    run_id: str,
    ingested: Input[Dataset],
    features: Input[Dataset],
    training_set: Input[Dataset],
    page: Output[HTML],
) -> bool:
    """Whether the newest span may be trained on."""
    from components.step import step

    with step(home, run_id, "validate-data") as result:
        from pathlib import Path

        from events.ingest import read_manifest, read_split
        from feature_repo.leaks import check
        from models.frames import scalar_frame
        from models.workloads import read_part
        from monitoring.validation import load_reference, make_reference, validate
        from segue.files import write_json
        from segue.settings import Home

        parts = {name: read_part(Path(training_set.path), name) for name in ("train", "validation", "test")}
        split = read_split(Path(ingested.path))
        instants = [split.train_end, split.validation_end]
        leaks = check(Path(ingested.path), Path(features.path), instants, list(parts.values()))
        folder = Home.at(home).baseline(read_manifest(Path(ingested.path))["dataset"])
        kept = load_reference(folder)
        reference = kept or make_reference(scalar_frame(parts["train"]), judge_distance=False)
        verdict = validate(scalar_frame(parts["test"]), reference, Path(page.path))
        result.update(verdict, leaks=leaks, reference=str(folder) if kept else "the train span")
        if leaks:
            result.update(passed=False, reason="; ".join([*leaks, *verdict["anomalies"].values()]))
        elif not verdict["passed"]:
            result["fix"] = f"Mend the log; if the change is meant, remove {folder} and run again."
        write_json(Home.at(home).run(run_id) / "validation.json", result)
        return result["passed"]

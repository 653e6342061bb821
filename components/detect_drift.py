"""Detect drift: compare the newest span with the reference of the stable models, by Evidently."""

from kfp.dsl import HTML, Dataset, Input, Output

from components.base import component


@component
def detect_drift(config: dict, training_set: Input[Dataset], page: Output[HTML]) -> bool:
    """Return whether the newest span has drifted from the span that the served model was pushed on."""
    from pathlib import Path

    from workloads import detect_drift
    from workloads.run import Run

    return detect_drift.step(Run.now(config), Path(training_set.path), Path(page.path))

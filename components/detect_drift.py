"""Detect drift: the served model's predictions and features on the newest span, by Evidently."""

from kfp.dsl import HTML, Dataset, Input, Output

from components.base import component


@component
def detect_drift(home: str, run_id: str, config: dict, training_set: Input[Dataset], page: Output[HTML]) -> bool:
    """Whether the newest span has drifted from what the served model was pushed on."""
    from pathlib import Path

    from workloads import detect_drift
    from workloads.run import Run

    return detect_drift.step(Run.of(home, run_id, config), Path(training_set.path), Path(page.path))

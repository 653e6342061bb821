"""Report: always, whatever became of the run."""

from components.base import component


@component
def report(home: str, run_id: str, config: dict):
    """Say how the run ended, in the run's folder and in MLflow."""
    from workloads import report
    from workloads.run import Run

    report.step(Run.of(home, run_id, config))

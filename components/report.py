"""Report: write the outcome of the run to its folder and to MLflow. It always runs, also after a failure."""

from components.base import component


@component
def report(config: dict):
    """Write the run's outcome to its folder and to MLflow."""
    from workloads import report
    from workloads.run import Run

    report.step(Run.now(config))

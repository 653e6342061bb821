"""Monitor: check the newest day, decide whether to retrain, and tell MLflow and people."""

from components.base import component


@component
def monitor(config: dict) -> bool:
    """Return whether the decision is to retrain."""
    from workloads.monitoring import monitor
    from workloads.run import Run

    return monitor.step(Run.now(config))

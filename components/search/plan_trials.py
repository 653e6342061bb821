"""Plan trials: draw the settings of a search's trials, and write the catalogue that judges them."""

from kfp.dsl import Dataset, Input, Output

from components.base import component


@component
def plan_trials(
    config: dict,
    ingested: Input[Dataset],
    features: Input[Dataset],
    catalogue: Output[Dataset],
) -> list[dict]:
    """Draw the trials, and write the catalogue that judges them."""
    from pathlib import Path

    from workloads.run import Run
    from workloads.search import plan_trials

    folders = (Path(artifact.path) for artifact in (ingested, features, catalogue))
    return plan_trials.step(Run.now(config), *folders)

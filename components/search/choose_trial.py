"""Choose trial: write the settings of a search's best trial as a configuration for training."""

from components.base import component


@component
def choose_trial(config: dict, trials: list) -> dict:
    """Compare the trials and write `search.json` and `best.yaml` into the run's folder."""
    from workloads.run import Run
    from workloads.search import choose_trial

    return choose_trial.step(Run.now(config), trials)

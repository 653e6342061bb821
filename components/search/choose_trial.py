"""Choose trial: write the settings of a search's best trial as a configuration for training."""

from components.base import component


@component
def choose_trial(home: str, run_id: str, config: dict, trials: list) -> dict:
    """Compare the trials and write `search.json` and `best.yaml` into the run's folder."""
    from workloads.run import Run
    from workloads.search import choose_trial

    return choose_trial.step(Run.of(home, run_id, config), trials)

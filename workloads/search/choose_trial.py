"""Choose trial: write the settings of a search's best trial as a configuration for training."""

from typing import Any

import yaml

from models.fitting.search import best_configuration, summary
from segue.files import write_json, write_text
from workloads.run import Run


def step(run: Run, trials: list[dict[str, Any]]) -> dict[str, Any]:
    """Compare the trials and write `search.json` and `best.yaml` into the run's folder.

    Returns:
        The best trial.
    """
    with run.step(__name__) as result:
        search = summary(run.config, trials)
        best = search["best"]
        write_json(run.folder.search, search)
        best_yaml = yaml.safe_dump(best_configuration(run.config, best["values"]), sort_keys=False)
        write_text(run.folder.best_configuration, best_yaml)
        result.update(search)
        return best

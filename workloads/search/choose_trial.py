"""Choose trial: the best of a search, as a configuration to train with."""

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
    from tracking.runs import log_best

    with run.step(__name__) as result:
        found = summary(run.config, trials)
        best = found["best"]
        write_json(run.folder.search, found)
        best_yaml = yaml.safe_dump(best_configuration(run.config, best["values"]), sort_keys=False)
        write_text(run.folder.best_configuration, best_yaml)
        figures = {found["metric"]: best["objective"]}
        reports = [run.folder.search, run.folder.best_configuration]
        log_best(run.home.tracking_uri, trials[0]["search"], best["values"], figures, reports)
        result.update(found)
        return best

"""Trial: train a model of a search on the train span and judge it on the validation span."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from models.fitting.search import Values, configured, typed
from models.training_config import TrainingConfig
from workloads.run import Run
from workloads.search.objective import objective
from workloads.training.train_ranking import train_ranking
from workloads.training.train_retrieval import train_retrieval
from workloads.training_set import read_part


def step(run: Run, training_set: Path, catalogue: Path, planned: dict[str, Any]) -> dict[str, Any]:
    """Train and judge a trial. Its model is not kept.

    Returns:
        The plan of the trial, with `metric` and `objective`.
    """
    number = int(planned["trial"])
    with run.step(__name__, number) as result:
        values = typed(run.config, planned["values"])
        items = pq.read_table(catalogue)
        result["values"] = values
        with TemporaryDirectory() as folder:
            outcome = run_trial(training_set, items, run.id, run.config, values, Path(folder) / "model")
        result.update(outcome)
        return {**planned, "metric": outcome["metric"], "objective": outcome["objective"]}


def run_trial(
    training_set: Path, items: pa.Table, run_id: str, config: TrainingConfig, values: Values, out: Path
) -> dict[str, Any]:
    """Train one trial, export it to `out` and judge it on the validation span.

    Args:
        training_set: the run's training set.
        items: the catalogue with its statistics as of the validation span's start.
        run_id: the run's name, for the model's card.
        config: the search's configuration.
        values: the trial's settings.
        out: a folder that does not exist yet.

    Returns:
        `metric` and `objective`, and the `history`, lists of figures by epoch.
    """
    settings = configured(config, values)
    if config.search.model == "retrieval":
        trained = train_retrieval(training_set, run_id, settings, out)
    else:
        trained = train_ranking(training_set, {}, run_id, settings, out)
    validation = read_part(training_set, "validation")
    metric, figure = objective(config.search.model, out, validation, items, config.seed)
    history = {name: figures for name, figures in trained.items() if isinstance(figures, list)}
    return {"metric": metric, "objective": figure, "history": history}

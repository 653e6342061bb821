"""Plan trials: draw the settings of a search's trials, and write the catalogue that judges them."""

from pathlib import Path
from typing import Any

from segue.files import atomic_path
from workloads.run import Run


def step(run: Run, ingested: Path, features: Path, catalogue: Path) -> list[dict[str, Any]]:
    """Draw the trials, and begin the search's run in MLflow.

    Returns:
        A mapping for each trial: `trial` (its number), `values` (its settings), `search` (MLflow's id of the search).
    """
    import pyarrow.parquet as pq

    from events.ingest import read_split
    from feature_repo.items_as_of import items_as_of
    from models.fitting.search import plan
    from tracking.runs import start_search

    with run.step(__name__) as result:
        planned = plan(run.config, run.config.seed)
        # Statistics from within the validation span would leak its plays to the trials.
        items = items_as_of(features, read_split(ingested).train_end)
        with atomic_path(catalogue) as temporary:
            pq.write_table(items, temporary)
        search = start_search(run.home.tracking_uri, run.home.tracking_artifacts, run.id, run.parameters)
        result.update(trials=len(planned), search=search)
        return [{"trial": number, "values": values, "search": search} for number, values in enumerate(planned)]

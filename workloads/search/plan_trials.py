"""Plan trials: draw the settings of a search's trials, and write the catalogue that judges them."""

from pathlib import Path
from typing import Any

from segue.files import atomic_path
from workloads.run import Run


def step(run: Run, ingested: Path, features: Path, catalogue: Path) -> list[dict[str, Any]]:
    """Draw the trials.

    Returns:
        A mapping for each trial: `trial` (its number), `values` (its settings).
    """
    import pyarrow.parquet as pq

    from events.ingest import read_split
    from feature_repo.items_as_of import items_as_of
    from models.fitting.search import plan

    with run.step(__name__) as result:
        planned = plan(run.config, run.config.seed)
        # Statistics from within the validation span would leak its plays to the trials.
        items = items_as_of(features, read_split(ingested).train_end)
        with atomic_path(catalogue) as temporary:
            pq.write_table(items, temporary)
        result.update(trials=len(planned))
        return [{"trial": number, "values": values} for number, values in enumerate(planned)]

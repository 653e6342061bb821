"""Plan trials: what a search will try, and the catalogue that its trials are judged with."""

from kfp.dsl import Dataset, Input, Output

from components.base import component


@component
def plan_trials(
    home: str,
    run_id: str,
    config: dict,
    ingested: Input[Dataset],
    features: Input[Dataset],
    catalogue: Output[Dataset],
) -> list[dict]:
    """Draw the trials, and begin the search's run in MLflow.

    Returns:
        One mapping a trial: `trial` (its number), `values` (its settings), `search` (MLflow's id of the search).
    """
    from components.step import step

    with step(home, run_id, "plan-trials") as result:
        from pathlib import Path

        import pyarrow.parquet as pq

        from events.ingest import read_split
        from feature_repo.catalogue import items_as_of
        from models.config import TrainingConfig
        from models.search import plan
        from segue.files import atomic_path
        from segue.settings import Home
        from serving.registry import start_search

        place = Home.at(home)
        settings = TrainingConfig.from_dict(config)
        planned = plan(settings, settings.seed)
        # Statistics from within the validation span would tell the trials what it holds.
        items = items_as_of(Path(features.path), read_split(Path(ingested.path)).train_end)
        with atomic_path(Path(catalogue.path)) as temporary:
            pq.write_table(items, temporary)
        search = start_search(place.tracking_uri, place.mlflow / "artifacts", run_id, config)
        result.update(trials=len(planned), search=search)
        return [{"trial": number, "values": values, "search": search} for number, values in enumerate(planned)]
